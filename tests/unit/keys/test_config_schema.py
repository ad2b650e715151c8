import copy
import functools
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from helpers.minimal_config import minimal, model

from slipway.core.errors import SlipwayError
from slipway.core.schema import SCHEMA
from slipway.keys.config import complete

SHIPPED = Path(__file__).resolve().parents[3] / "config.yaml"


@functools.cache
def schema():
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def shipped():
    return yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))


def resolved(part: dict) -> dict:
    """Return a subschema with its $ref followed; what stands beside the $ref wins."""
    if "$ref" not in part:
        return part
    return schema()["$defs"][part["$ref"].rsplit("/", 1)[1]] | part


def properties(part: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict, bool]]:
    """Yield (path, subschema, required) of every property at any depth; a map's entries have the name *."""
    part = resolved(part)
    for name, below in part.get("properties", {}).items():
        yield (*path, name), resolved(below), name in part.get("required", [])
        yield from properties(below, (*path, name))
    if isinstance(part.get("additionalProperties"), dict):
        yield from properties(part["additionalProperties"], (*path, "*"))


OVERRIDES = {
    ("targets", "*", "tensorrt"): ("tensorrt",),
    ("models", "*", "accuracy"): ("accuracy",),
    ("models", "*", "calibration"): ("calibration",),
}


def is_override(path: tuple[str, ...]) -> bool:
    """Say whether a property is left out by default: what a target or model sets otherwise, or a metric."""
    return len(path) > 3 and path[:3] in (*OVERRIDES, ("models", "*", "metric"))


ALL_PROPERTIES = list(properties(schema()))


def leaves(content: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(content, dict) and content:
        for name, below in content.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, content


def refusal(config: dict) -> str:
    with pytest.raises(SlipwayError) as caught:
        complete(config)
    return str(caught.value)


# The schema and the shipped file


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_walk_reaches_the_deepest_properties():
    paths = {path for path, _, _ in ALL_PROPERTIES}
    assert ("models", "*", "preprocess", "std") in paths
    assert ("accuracy", "limits", "bf16", "max_top1_drop") in paths


@pytest.mark.parametrize(
    ("path", "part", "required"), ALL_PROPERTIES, ids=[".".join(path) for path, *_ in ALL_PROPERTIES]
)
def test_every_property_has_a_description_and_a_default(path, part, required):
    assert part.get("description", "").endswith(".")
    assert required or "default" in part or is_override(path)


@pytest.mark.parametrize("override", OVERRIDES, ids=".".join)
def test_a_target_or_model_may_set_everything_of_its_section_otherwise(override):
    own = {path[3:] for path, _, _ in ALL_PROPERTIES if path[:3] == override and len(path) > 3}
    of_all = {path[1:] for path, _, _ in ALL_PROPERTIES if path[:1] == OVERRIDES[override] and len(path) > 1}
    assert own - {("samples",)} == of_all


@pytest.mark.parametrize(
    ("path", "part"),
    [(path, part) for path, part, _ in ALL_PROPERTIES if "default" in part],
    ids=[".".join(path) for path, part, _ in ALL_PROPERTIES if "default" in part],
)
def test_every_default_is_valid_itself(path, part):
    jsonschema.Draft202012Validator({**part, "$defs": schema()["$defs"]}).validate(part["default"])


def test_the_shipped_file_is_what_the_defaults_give():
    bare = {"models": {"resnet50": {}}, "targets": {"cpu": {}}}
    assert complete(shipped()) == complete(bare)


def test_a_configuration_without_targets_is_about_this_machine():
    assert complete({"models": {"resnet50": {}}}) == complete(shipped())


def test_the_shipped_file_shows_every_key():
    shown = {("models", "*", *path[2:]) if path[0] == "models" else path for path, _ in leaves(shipped())}
    shown = {("targets", "*", *path[2:]) if path[0] == "targets" else path for path in shown}
    # What a map or a null may hold is shown by an example in its comment.
    known = {path for path, _, _ in ALL_PROPERTIES if not is_override(path) and "*" not in path[2:]}
    ends = {path for path in known if not any(other[: len(path)] == path and other != path for other in known)}
    assert [path for path in sorted(ends - shown) if path[:3] not in shown] == []


def test_the_architectures_are_torchvisions():
    from torchvision import models

    choices = schema()["$defs"]["model"]["properties"]["architecture"]["anyOf"]
    classifiers, others = [choice["enum"] for choice in choices if "enum" in choice]
    assert classifiers == models.list_models(module=models)
    tasks = [models.segmentation, models.detection, models.video, models.optical_flow]
    assert others == [name for task in tasks for name in models.list_models(module=task)]


def numbers(part: object, path: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """Yield (path, subschema) of every number anywhere in the schema."""
    if isinstance(part, dict):
        if {"integer", "number"} & set(np.atleast_1d(part["type"]) if isinstance(part.get("type"), str | list) else ()):
            yield path, part
        for name, below in part.items():
            yield from numbers(below, (*path, name))
    elif isinstance(part, list):
        for index, below in enumerate(part):
            yield from numbers(below, (*path, index))


def test_no_number_is_without_bounds():
    unbounded = [
        path
        for path, part in numbers(schema())
        if "maximum" not in part or not {"minimum", "exclusiveMinimum"} & set(part)
    ]
    assert unbounded == []


# Defaults


def test_completing_twice_changes_nothing():
    once = complete(minimal())
    assert complete(copy.deepcopy(once)) == once


def test_defaults_are_not_shared_between_models():
    config = complete(minimal(models={"a": {}, "b": {}}))
    config["models"]["a"]["arguments"]["depth"] = 0
    assert config["models"]["b"]["arguments"] == {}


def test_what_is_set_stays():
    config = complete(model(architecture="my.models:make", arguments={"num_classes": 7}, preprocess={"crop": 96}))
    assert config["models"]["m"]["arguments"] == {"num_classes": 7}
    assert config["models"]["m"]["preprocess"]["crop"] == 96
    assert config["models"]["m"]["preprocess"]["resize"] is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_limit_set_leaves_the_other_limits_of_its_precision(precision):
    untouched = complete(minimal())["accuracy"]["limits"][precision]
    set_one = complete(minimal(accuracy={"limits": {precision: {"min_cosine": 0.5}}}))["accuracy"]["limits"][precision]
    assert set_one == untouched | {"min_cosine": 0.5}
