"""Kubernetes names, labels and annotations."""

import re

from slipway.core.errors import SlipwayError
from slipway.load_test.limits import configuration_in_words

# Kubernetes allows 63 characters, including the suffix of a Deployment's pods.
LONGEST = 46
# The end of the names of a model with random weights, and the gate that keeps Kubernetes from scheduling its pods.
REHEARSAL = "rehearsal"
GATE = "slipway/rehearsal"


def label(*parts: str) -> str:
    """Return the parts as one DNS label; raise SlipwayError if it is too long for the name of a pod."""
    name = as_label(*parts)
    if len(name) > LONGEST:
        raise SlipwayError(
            f"the name {name} is longer than the {LONGEST} characters that Kubernetes leaves for it; shorten the "
            "model's or the target's name in config.yaml"
        )
    return name


def as_label(*parts: str) -> str:
    """Return the parts as one DNS label of any length: lower case, digits and dashes, with a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return name if name[:1].isalpha() else f"m-{name}"


def metadata_of_target(d: dict) -> dict:
    """Return the metadata of a model's objects for one target."""
    labels = selector_of_target(d) | _common_labels(d)
    return {"name": d["name"], "namespace": d["namespace"], "labels": labels, "annotations": annotations(d)}


def metadata_of_model(d: dict) -> dict:
    """Return the metadata of the objects that all targets share. Its provenance names only the weights."""
    labels = selector_of_model(d) | _common_labels(d)
    weights = {"slipway/weights": provenance(d)["slipway/weights"]}
    return {"name": d["app"], "namespace": d["namespace"], "labels": labels, "annotations": weights}


def _common_labels(d: dict) -> dict[str, str]:
    """Return the labels of all objects; one of them says that a model has random weights."""
    return {"app.kubernetes.io/managed-by": "slipway"} | ({"slipway/origin": REHEARSAL} if d["is_rehearsal"] else {})


def selector_of_model(d: dict) -> dict[str, str]:
    """Return the labels that select the pods of a model, on all targets."""
    return {"app.kubernetes.io/name": d["app"], "app.kubernetes.io/component": "triton"}


def selector_of_target(d: dict) -> dict[str, str]:
    """Return the labels that select the pods of a model on one target."""
    return {**selector_of_model(d), "app.kubernetes.io/instance": d["name"]}


def annotations(d: dict) -> dict[str, str]:
    """Return {annotation: value}: the provenance of a deployment, and its warnings if there are any."""
    return provenance(d) | ({"slipway/warnings": "; ".join(d["warnings"])} if d["warnings"] else {})


def provenance(d: dict) -> dict[str, str]:
    """Return {annotation: value}: the artifacts' SHA-256, the engine, the release, the replicas' reason."""
    return {
        **({"slipway/replicas": d["sizing"]} if d.get("sizing") else {}),
        "slipway/hardware": d["hardware"],
        "slipway/load-test": f"sha256:{d['load_test_sha256']}",
        "slipway/repository-index": f"sha256:{d['index_sha256']}",
        "slipway/selection": f"sha256:{d['selection_sha256']}",
        "slipway/serves": (
            f"{d['served_as']}: {d['runtime']} {d['runtime_version']}, {d['precision']}, {configuration_in_words(d)}"
        ),
        "slipway/triton-release": d["triton_release"] or "not declared",
        "slipway/weights": f"sha256:{d['weights_sha256']}",
    }
