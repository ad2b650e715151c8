"""Names, labels and annotations, as Kubernetes takes them."""

import re

from slipway.core.errors import SlipwayError

# Kubernetes takes 63 characters; what it appends to a Deployment's name for its pods has to fit too.
LONGEST = 46
_MANAGED = {"app.kubernetes.io/managed-by": "slipway"}


def label(*parts: str) -> str:
    """Return the parts as one DNS label; raise SlipwayError when that is longer than a pod's name can hold."""
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


def metadata_of_model(d: dict) -> dict:
    """Return the metadata of what all targets of a model share, which the weights are all that it came from."""
    return {
        "name": d["app"],
        "namespace": d["namespace"],
        "labels": {**selector_of_model(d), **_MANAGED},
        "annotations": {"slipway/weights": annotations(d)["slipway/weights"]},
    }


def metadata_of_target(d: dict) -> dict:
    """Return the metadata of what a model has on one target."""
    return {
        "name": d["name"],
        "namespace": d["namespace"],
        "labels": {**selector_of_target(d), **_MANAGED},
        "annotations": annotations(d),
    }


def selector_of_model(d: dict) -> dict[str, str]:
    """Return the labels by which the pods of a model are found, on whatever target."""
    return {"app.kubernetes.io/name": d["app"], "app.kubernetes.io/component": "triton"}


def selector_of_target(d: dict) -> dict[str, str]:
    """Return the labels by which the pods of a model on one target are found."""
    return {**selector_of_model(d), "app.kubernetes.io/instance": d["name"]}


def annotations(d: dict) -> dict[str, str]:
    """Return where a deployment came from: the SHA-256 of each artifact, what is served, and what speaks against it."""
    told = {
        "slipway/hardware": d["hardware"],
        "slipway/load-test": f"sha256:{d['load_test_sha256']}",
        "slipway/repository-index": f"sha256:{d['index_sha256']}",
        "slipway/selection": f"sha256:{d['selection_sha256']}",
        "slipway/serves": (
            f"{d['served_as']}: {d['runtime']} {d['runtime_version']}, {d['precision']}, batches up to "
            f"{d['max_batch_size']}, {d['instances']} instance(s)"
        ),
        "slipway/triton-release": d["triton_release"] or "not declared",
        "slipway/weights": f"sha256:{d['weights_sha256']}",
    }
    return told | ({"slipway/warnings": "; ".join(d["warnings"])} if d["warnings"] else {})
