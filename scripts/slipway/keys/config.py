"""Validate config.yaml and fill in its defaults. Each mistake is one sentence, before any job runs."""

import ipaddress
import json
import re
from collections.abc import Iterator

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.keys.config_schema import fill_in
from slipway.manifests.names import as_label
from slipway.photographs.normalisation import implausible
from slipway.triton.repository.versions import require_no_password

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def complete(config: dict) -> dict:
    """Return the configuration with the schema's defaults filled in.

    Raises SlipwayError with the key, its value and the allowed values if the configuration is not valid.
    """
    fill_in(config)
    _check_text(config)
    _check_order(config)
    _check_calibration(config)
    _check_arguments(config)
    _check_profiles(config)
    _check_outputs(config)
    _check_references(config)
    _check_normalisation(config)
    _check_floor(config)
    _check_names(config)
    _check_this_machine(config)
    return config


def _check_text(config: dict) -> None:
    """Refuse control characters: in a name or path they are a mistake, and they break other programs."""
    for key, text in _texts(config):
        if _CONTROL.search(text):
            raise SlipwayError(
                f"config: `{key}` is {text!r}, but must hold no line end and no other control character; take it out"
            )


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, text) of every text in a configuration except a factory's own arguments."""
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


def _check_order(config: dict) -> None:
    lists = {"benchmark": ["batch_sizes", "streams"], "load_test": ["concurrency", "instances", "max_batch_sizes"]}
    for section, names in lists.items():
        for name in names:
            values = config[section][name]
            if values != sorted(values):
                raise SlipwayError(f"config: `{section}.{name}` is {values}, but must ascend: {sorted(values)}")


def _check_calibration(config: dict) -> None:
    least, most = config["calibration"]["min_images"], config["calibration"]["max_images"]
    if config["calibration"]["images"] is not None and least > most:
        raise SlipwayError(
            f"config: `calibration.min_images` is {least}, but must be at most `calibration.max_images`, {most}"
        )


def _check_arguments(config: dict) -> None:
    """Refuse arguments that JSON cannot represent for the programs, such as a text that YAML reads as a date."""
    for model, settings in config["models"].items():
        try:
            json.dumps(settings["arguments"], allow_nan=False)
        except (TypeError, ValueError):
            raise SlipwayError(
                f"config: `models.{model}.arguments` is {settings['arguments']!r}, but must hold only text, finite "
                "numbers, true, false, null, lists and mappings; put quotes around what YAML takes for something else"
            ) from None


def _check_profiles(config: dict) -> None:
    for key, section in {
        "": config,
        **{f"targets.{name}.": target for name, target in config["targets"].items()},
    }.items():
        for sizes in section["tensorrt"].get("profiles", []):
            if not sizes["min"] <= sizes["opt"] <= sizes["max"]:
                raise SlipwayError(f"config: `{key}tensorrt.profiles` has {sizes}, but must hold min <= opt <= max")


def _check_outputs(config: dict) -> None:
    for model, settings in config["models"].items():
        if settings["output"] == "tensor" and settings["labels"] is not None:
            raise SlipwayError(
                f"config: `models.{model}.output` is 'tensor', which are no class scores, but `labels` names classes "
                f"({settings['labels']}); leave one of them out"
            )


def _check_references(config: dict) -> None:
    target = config["deploy"]["target"]
    if target is not None and target not in config["targets"]:
        raise SlipwayError(
            f"config: `deploy.target` is {target!r}, but must be one of the targets: {', '.join(config['targets'])}"
        )
    _check_targets_named(config)
    require_no_password(config["deploy"]["publish"]["to"] or "")
    ports = [config["deploy"][name] for name in ("http_port", "grpc_port", "metrics_port")]
    ports += [config["deploy"]["compose"][name] for name in ("prometheus_port", "grafana_port")]
    if len(set(ports)) < len(ports):
        raise SlipwayError(f"config: `deploy` has the ports {ports}, but each must be different")
    for model, settings in config["models"].items():
        preprocess = settings["preprocess"]
        if preprocess["resize"] < preprocess["crop"]:
            raise SlipwayError(
                f"config: `models.{model}.preprocess.resize` is {preprocess['resize']}, but must be at least the crop, "
                f"{preprocess['crop']}"
            )


def _check_normalisation(config: dict) -> None:
    for model, settings in config["models"].items():
        preprocess = settings["preprocess"]
        if reason := implausible(preprocess["mean"], preprocess["std"], f"models.{model}.preprocess."):
            raise SlipwayError(f"config: {reason}")


def _check_floor(config: dict) -> None:
    accuracy = config["accuracy"]
    if accuracy["min_top1"] is not None and accuracy["labelled"] is None:
        raise SlipwayError(
            f"config: `accuracy.min_top1` is {accuracy['min_top1']:g}, but no photographs tell the accuracy; name a "
            "folder of labelled ones as `accuracy.labelled`"
        )


def _check_targets_named(config: dict) -> None:
    deploy, targets = config["deploy"], config["targets"]
    named = {
        "fleet": deploy["fleet"] or [],
        **{f"cluster.{name}": deploy["cluster"][name] for name in ("gpu_resources", "node_labels")},
    }
    for key, names in named.items():
        unknown = [name for name in names if name not in targets]
        if unknown:
            raise SlipwayError(
                f"config: `deploy.{key}` names {unknown[0]!r}, but must name one of the targets: {', '.join(targets)}"
            )


def _check_this_machine(config: dict) -> None:
    """Refuse settings that a platform on this machine would refuse only after another deployment was stopped."""
    deploy, models = config["deploy"], list(config["models"])
    if deploy["to"] == "local" or not PLATFORMS[deploy["to"]].on_this_machine:
        return
    if len(models) > 1:
        raise SlipwayError(
            f"config: `deploy.to` is {deploy['to']}, where each of the models {', '.join(models)} would listen at the "
            "same ports; deploy one of them so, with a configuration of its own"
        )
    try:
        ipaddress.ip_address(deploy["host"])
    except ValueError:
        raise SlipwayError(
            f"config: `deploy.host` is {deploy['host']!r}, but {deploy['to']} takes an IP address, such as 127.0.0.1"
        ) from None


def _check_names(config: dict) -> None:
    """Refuse names that are equal in Kubernetes: the second model would be deployed over the first."""
    models, targets = config["models"], config["targets"]
    for named in (
        [((model,), f"`models.{model}`") for model in models],
        [((model, target), f"`models.{model}` on `targets.{target}`") for model in models for target in targets],
    ):
        words_by_label: dict[str, str] = {}
        for parts, words in named:
            label = as_label(*parts)
            if label in words_by_label:
                raise SlipwayError(
                    f"config: {words_by_label[label]} and {words} are both {label} in Kubernetes; rename one"
                )
            words_by_label[label] = words
