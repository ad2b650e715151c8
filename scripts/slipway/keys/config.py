"""Validate config.yaml and fill in its defaults. Each mistake is one sentence, before any job runs."""

import copy
import ipaddress
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.keys.config_text import FAST_LOADER
from slipway.manifests.names import as_label
from slipway.photographs.normalisation import implausible
from slipway.runtimes import RUNTIMES
from slipway.triton.repository.versions import require_no_password

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "config.schema.yaml"


def complete(config: dict) -> dict:
    """Return the configuration with the schema's defaults filled in.

    Raises SlipwayError with the key, its value and the allowed values if the configuration is not valid.
    """
    errors = list(_WithDefaults(schema()).iter_errors(config))
    if errors:
        raise SlipwayError(f"config: {_explain(jsonschema.exceptions.best_match(errors))}")
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


@cache
def schema() -> dict:
    """Return the JSON Schema of config.yaml. It allows the runtimes and platforms that have traits."""
    found = yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=FAST_LOADER)
    found["$defs"]["target"]["properties"]["runtime"]["enum"] = ["auto", *RUNTIMES]
    found["properties"]["deploy"]["properties"]["to"]["enum"] = ["local", *PLATFORMS]
    return found


def _fill_defaults(validator: Any, properties: dict, instance: object, schema: dict) -> Iterator:
    """Validate `properties` after filling in the defaults, in the way of jsonschema's own documentation."""
    if isinstance(instance, dict):
        for name, subschema in properties.items():
            if "default" in subschema:
                instance.setdefault(name, copy.deepcopy(subschema["default"]))
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


def _match_pattern(validator: Any, pattern: str, instance: object, _: dict) -> Iterator:
    """Match as JSON Schema's own regular expressions do: `$` is the very end, and digits are ASCII digits."""
    if validator.is_type(instance, "string") and not re.search(_to_the_end(pattern), instance, re.ASCII):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _to_the_end(pattern: str) -> str:
    """Return a pattern whose `$` matches only at the very end, not also before a final line feed as in Python."""
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def _is_integer(_: Any, value: object) -> bool:
    """Accept 5. Refuse 5.0, which a program's option would not accept, and true."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite_number(checker: Any, value: object) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_WithDefaults = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"properties": _fill_defaults, "pattern": _match_pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_finite_number}
    ),
)


_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def _explain(error: jsonschema.ValidationError) -> str:
    """Return one sentence with the key, its value and the allowed values."""
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        unknown = min(str(name) for name in error.instance if name not in error.schema["properties"])
        allowed = ", ".join(sorted(error.schema["properties"]))
        return f"`{f'{key}.' if key else ''}{unknown}` is not a key; allowed are {allowed}"
    if error.validator == "required":
        return f"{error.message.replace(chr(39), '`')} and is missing"
    if "propertyNames" in error.absolute_schema_path:
        return f"`{key}` has the name {error.instance!r}, but a name must be {_allowed(error.schema)}"
    parent = error.parent
    while parent is not None and parent.absolute_path == error.absolute_path:
        error, parent = parent, parent.parent
    allowed = _allowed(error.schema)
    return f"`{key or 'the file'}` is {error.instance!r}, but must be {allowed}"


def _allowed(schema: dict) -> str:
    """Return the values that a schema allows, in words."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        described = schema.get("description", "").rstrip(".")
        return described[:1].lower() + described[1:] or " or ".join(_allowed(choice) for choice in choices)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "pattern" in schema:
        return f"text of the form {schema['pattern']}"
    kinds = schema.get("type", [])
    words = [" or ".join(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))]
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "minItems": "with items at least",
        "maxItems": "and at most",
        "minLength": "with characters at least",
        "minProperties": "with entries at least",
    }
    words += [f"{phrase} {schema[name]}" for name, phrase in limits.items() if name in schema]
    if "uniqueItems" in schema:
        words.append("without repetition")
    if "items" in schema:
        words.append(f"with each item {_allowed(schema['items'])}")
    return " ".join(words)


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
