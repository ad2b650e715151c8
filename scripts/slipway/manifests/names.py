"""Names of Kubernetes' objects."""

import re

from slipway.core.errors import SlipwayError

# Kubernetes allows 63 characters in the name of a pod, which is the Deployment's name and a suffix.
LONGEST = 46
# Helm, which Arena uses, allows 53 characters in the name of a release: this name and its version, as "-v0123456789ab".
LONGEST_IN_ARENA = 39
# The end of the names of a model with random weights, and the gate that keeps Kubernetes from scheduling its pods.
REHEARSAL = "rehearsal"
GATE = "slipway/rehearsal"


def label(*parts: str, to: str = "kubernetes") -> str:
    """Return `parts`, such as the names of a model and a target, joined to one DNS label for an object's name.

    Raises SlipwayError if the label is too long for the platform `to`.
    """
    name = as_label(*parts)
    longest, judge = (LONGEST_IN_ARENA, "Arena") if to == "arena" else (LONGEST, "Kubernetes")
    if len(name) > longest:
        raise SlipwayError(
            f"the name {name} is longer than the {longest} characters that {judge} leaves for it; shorten the model's "
            "or the target's name in config.yaml"
        )
    return name


def as_label(*parts: str) -> str:
    """Return `parts` joined to one DNS label of any length: lower case, digits and dashes, beginning with a letter."""
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return name if name[:1].isalpha() else f"m-{name}"
