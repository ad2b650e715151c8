"""Validate config.yaml and fill in its defaults. Each error is one sentence, raised before any job runs."""

import ipaddress
import re
from collections.abc import Iterator

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.keys.config_models import mistakes_of_model
from slipway.keys.config_schema import fill_in, is_image
from slipway.keys.weights_files import WEIGHTS_SUFFIXES
from slipway.manifests.names import as_label
from slipway.storage.addresses import is_address, require_no_secret

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# A host's name. A last part of digits alone belongs to an IPv4 address, so 999.1.1.1 is no name.
_HOST_NAME = re.compile(r"(?:[\w-]{1,63}\.)*(?!\d+\Z)[\w-]{1,63}", re.ASCII)
# The protocol of images in a registry, as Apptainer writes it.
DOCKER = "docker://"
# The architecture of published or random weights, if none is named.
DEFAULT_ARCHITECTURE = "resnet50"


def complete(config: dict) -> dict:
    """Validate a configuration, fill in the schema's defaults in place, and return it.

    `config` is the content of config.yaml. Raises SlipwayError with the key, its value and the allowed values if the
    configuration is not valid.
    """
    for key, text in _texts(config):  # first of all, since other messages quote texts
        require_no_secret(key, text)
    fill_in(config)
    _name_default_architecture(config)
    for mistake in _mistakes(config):
        raise SlipwayError(f"config: {mistake}")
    return config


def _mistakes(config: dict) -> Iterator[str]:
    """Yield a sentence for each mistake in a configuration that JSON Schema cannot detect.

    `config` is the content of config.yaml with the defaults.
    """
    for key, text in _texts(config):
        if _CONTROL.search(text):  # in a name or path it is a mistake, and breaks other programs
            yield f"`{key}` is {text!r}, but must hold no line end and no other control character; take it out"
    yield from _of_order(config)
    yield from _of_container(config["container"])
    for model, settings in config["models"].items():
        yield from mistakes_of_model(f"models.{model}", settings)
        yield from _of_evaluation(config, model)
        yield from _of_calibration(config, model)
    yield from _of_names(list(config["models"]), list(config["targets"]), config["deploy"])
    yield from _of_deployment(config["deploy"], list(config["models"]))


def _name_default_architecture(config: dict) -> None:
    """Set, in place, the default `architecture` of each model without `architecture` and without a weights file."""
    for settings in config["models"].values():
        weights = settings["weights"]
        if settings["architecture"] is None and not (is_address(weights) or weights.endswith(WEIGHTS_SUFFIXES)):
            settings["architecture"] = DEFAULT_ARCHITECTURE


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) for each string in a configuration, values and names of keys, except in `arguments`.

    `key` is the dotted key of `value`; "" for the whole configuration.
    """
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, dict):
        for name, content in value.items():
            yield from _texts(name, key) if isinstance(name, str) else ()
            if name != "arguments":
                yield from _texts(content, f"{key}.{name}" if key else str(name))


def _of_order(config: dict) -> Iterator[str]:
    """Yield a sentence for each list that must ascend but does not, and for each profile without min <= opt <= max.

    The lists are sizes of the benchmark and the load test. The profiles are TensorRT's optimization profiles.
    """
    swept = ["concurrency", "instances", "max_batch_sizes", "batching_delays_us"]
    lists = {"benchmark": ["batch_sizes", "streams"], "load_test": swept}
    for section, names in lists.items():
        for name in names:
            values = config[section][name]
            if values != sorted(values):
                yield f"`{section}.{name}` is {values}, but must ascend: {sorted(values)}"
    delays = config["load_test"]["batching_delays_us"]
    if config["load_test"]["search"] == "quick" and len(delays) > 1:
        yield (
            f"`load_test.search` is quick, which varies no batching delay, but `load_test.batching_delays_us` has "
            f"{delays}; leave one of them, or search by brute or optuna"
        )
    sections = {"": config, **{f"targets.{name}.": target for name, target in config["targets"].items()}}
    for key, section in sections.items():
        for sizes in section["tensorrt"].get("profiles", []):
            if not sizes["min"] <= sizes["opt"] <= sizes["max"]:
                yield f"`{key}tensorrt.profiles` has {sizes}, but must hold min <= opt <= max"


def _of_container(image: str | None) -> Iterator[str]:
    """Yield a sentence if `image`, the container image in which jobs run, has the malformed name of one in a registry.

    With None, jobs run in no container.
    """
    name = (image or "").removeprefix(DOCKER)
    if name != (image or "") and not is_image(name):
        yield (
            f"`container` is {image!r}, but {name!r} is no name of an image; write it in lower case, with an optional "
            "tag and an optional whole digest, such as docker://registry.example.com/team/name:tag"
        )


def _of_evaluation(config: dict, model: str) -> Iterator[str]:
    """Yield a sentence for `min_top1` and for `metric`, if the model lacks the evaluation data that they need."""
    settings = config["models"][model]
    accuracy = config["accuracy"] | settings["accuracy"]
    if settings["samples"] or accuracy["labelled"] is not None:
        return
    if accuracy["min_top1"] is not None:
        owner = f"models.{model}." if "min_top1" in settings["accuracy"] else ""
        yield (
            f"`{owner}accuracy.min_top1` is {accuracy['min_top1']:g}, but there are no labelled photographs; name a "
            f"folder of labelled photographs as `{owner}accuracy.labelled`"
        )
    if settings["metric"]:
        yield (
            f"`models.{model}.metric` is a function of the answers to evaluation data, but there are none; name a "
            "folder of photographs as `accuracy.labelled`, or the model's `samples`"
        )


def _of_calibration(config: dict, model: str) -> Iterator[str]:
    """Yield a sentence if `min_samples` of a model's calibration data is above `max_samples`."""
    own = config["models"][model]["calibration"]
    calibration = config["calibration"] | own
    least, most = calibration["min_samples"], calibration["max_samples"]
    has_data = calibration["images"] is not None or calibration.get("samples") is not None
    if has_data and least > most:
        owner = f"models.{model}." if {"min_samples", "max_samples"} & set(own) else ""
        key = f"{owner}calibration"
        yield f"`{key}.min_samples` is {least}, but must be at most `{key}.max_samples`, {most}"


def _of_names(models: list[str], targets: list[str], deploy: dict) -> Iterator[str]:
    """Yield a sentence for each name in `deploy`, that section of config.yaml, that is none of the `targets`.

    Also yield one for a model whose name would make the name of a rule, and for models that have equal names in
    Kubernetes, where the second would be deployed over the first.
    """
    named = {"target": [deploy["target"] or targets[0]], "fleet": deploy["fleet"] or []}
    named |= {f"cluster.{name}": deploy["cluster"][name] for name in ("gpu_resources", "node_labels")}
    for key, names in named.items():
        if unknown := [name for name in names if name not in targets]:
            yield f"`deploy.{key}` names {unknown[0]!r}, but must name one of the targets: {', '.join(targets)}"
    words: dict[tuple[str, ...], str] = {(model,): f"`models.{model}`" for model in models}
    words |= {(model, target): f"`models.{model}` on `targets.{target}`" for model in models for target in targets}
    first: dict[tuple[int, str], str] = {}
    for name, rule in {"release": "deploy_release", "precision": "diagnose_precision"}.items():
        if name in models:
            yield f"`models.{name}` would have the target {rule}, which is a rule of the workflow; rename the model"
    for parts, place in words.items():
        label = as_label(*parts)
        earlier = first.setdefault((len(parts), label), place)
        if earlier != place:
            yield f"{earlier} and {place} are both {label} in Kubernetes; rename one"


def _of_deployment(deploy: dict, models: list[str]) -> Iterator[str]:
    """Yield a sentence for each mistake in `deploy`, that section of config.yaml.

    Mistakes are an invalid host, `max_replicas` below `replicas`, two equal ports, and several models on a platform
    where each model has its own server, which would listen at the same ports.
    """
    if not (_is_ip_address(deploy["host"]) or _HOST_NAME.fullmatch(deploy["host"])):
        yield (
            f"`deploy.host` is {deploy['host']!r}, which is neither an IP address, such as 127.0.0.1 or ::1, nor a "
            "host's name; write the address alone, without a port or http://"
        )
    replicas, most = deploy["cluster"]["replicas"], deploy["cluster"]["max_replicas"]
    if replicas and most and most < replicas:
        yield (
            f"`deploy.cluster.max_replicas` is {most}, but must be at least `deploy.cluster.replicas`, {replicas}; "
            "correct one of them"
        )
    ports = [deploy[name] for name in ("http_port", "grpc_port", "metrics_port")]
    ports += [deploy["compose"][name] for name in ("prometheus_port", "grafana_port")]
    if len(set(ports)) < len(ports):
        yield f"`deploy` has the ports {ports}, but each must be different"
    if PLATFORMS[deploy["to"]].together or not PLATFORMS[deploy["to"]].on_this_machine:
        return
    if len(models) > 1:
        yield (
            f"`deploy.to` is {deploy['to']}, where each of the models {', '.join(models)} would listen at the same "
            "ports; leave only one model in this configuration"
        )
    if not _is_ip_address(deploy["host"]):
        yield f"`deploy.host` is {deploy['host']!r}, but {deploy['to']} takes an IP address, such as 127.0.0.1"


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
