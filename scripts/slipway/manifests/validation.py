"""Validation of manifests against the published schemas of Kubernetes and Compose."""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

from slipway.core.errors import SlipwayError

# The oldest supported Kubernetes. The newest supported version is the newest whose schemas are in the library.
OLDEST = "1.29.0"
# Schemas of custom resources, derived from the published ones.
SCHEMAS = Path(__file__).with_name("schemas")


def require_valid(objects: list[dict]) -> None:
    """Raise SlipwayError, with the field and the reason, if an object of a manifest is not valid in Kubernetes.

    Each object must be valid in the oldest supported version and in the newest.
    """
    for obj in objects:
        name = f"{obj['kind']} {obj['metadata']['name']}"
        for version in (OLDEST, kubernetes_validate.latest_version()):
            _require(validate, obj, version, name=name, judge=f"Kubernetes {version}")


def require_valid_composition(composition: dict) -> None:
    """Raise SlipwayError, with the field and the reason, if `composition`, a compose.yaml's content, is not valid."""
    validator = jsonschema.Draft202012Validator(_schema("Compose"))
    _require(validator.validate, composition, name="compose.yaml", judge="Compose")


def validate(obj: dict, version: str) -> None:
    """Raise jsonschema.ValidationError if a Kubernetes object is not valid in the version `version`, such as "1.29.0".

    An object with unknown fields is not valid either.
    """
    if (SCHEMAS / f"{obj['kind']}.yaml").is_file():
        schema = _schema(obj["kind"])
        jsonschema.Draft202012Validator(schema, registry=_kubernetes(version)).validate(obj)
    else:
        kubernetes_validate.validate(obj, version, strict=True)


def _require(check: Callable[..., None], *checked: object, name: str, judge: str) -> None:
    try:
        check(*checked)
    except jsonschema.ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path) or "the top"
        raise SlipwayError(
            f"{name} is not what {judge} takes: {error.message} (at {place}). Correct `deploy` in config.yaml; nothing "
            "was written"
        ) from None


@cache
def _schema(kind: str) -> dict:
    return yaml.safe_load((SCHEMAS / f"{kind}.yaml").read_text(encoding="utf-8"))


@cache
def _kubernetes(version: str) -> Registry:
    """Return the JSON definitions of a Kubernetes version, such as "1.29.0", to which the files in SCHEMAS refer."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    return Resource.from_contents(definitions) @ Registry()
