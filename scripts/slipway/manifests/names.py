"""Names of Kubernetes' objects."""

import re

from slipway.core.errors import SlipwayError

# Kubernetes allows 63 characters in the name of a pod, which is the Deployment's name and a suffix.
LONGEST = 46
# The end of the names of a model with random weights, and the gate that keeps Kubernetes from scheduling its pods.
REHEARSAL = "rehearsal"
GATE = "slipway/rehearsal"


def label(*parts: str) -> str:
    """Return `parts` joined to one DNS label; raise SlipwayError if the label has more than LONGEST characters."""
    name = as_label(*parts)
    if len(name) > LONGEST:
        raise SlipwayError(
            f"the name {name} is longer than the {LONGEST} characters that Kubernetes leaves for it; shorten the "
            "model's or the target's name in config.yaml"
        )
    return name


def as_label(*parts: str) -> str:
    """Return `parts` joined to one DNS label of any length: lower case, digits and dashes, beginning with a letter."""
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return name if name[:1].isalpha() else f"m-{name}"
