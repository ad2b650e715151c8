"""The weights that torchvision publishes, and the arguments that its builders set for them."""

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.core.artifacts import sha256

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# Networks with an input normalisation of their own. It is on for torchvision's published weights.
TRANSFORMING = ("googlenet", "inception_v3")


def published_weights(architecture: str, checkpoint: Path) -> "WeightsEnum | None":
    """Return torchvision's weights if `checkpoint` is a copy of their file, by the SHA-256 in their URL; else None."""
    import torchvision

    if ":" in architecture:
        return None
    content = sha256(checkpoint)
    for weights in torchvision.models.get_model_weights(architecture):
        start = Path(weights.url).stem.rpartition("-")[2]
        if len(start) >= 8 and content.startswith(start):
            return weights
    return None


def network_arguments(architecture: str, arguments: dict, weights: "WeightsEnum | None") -> dict:
    """Return the network's arguments with the defaults that torchvision's own builder sets for these weights.

    The user's arguments take precedence. If `weights` is None (the user's own checkpoint), the defaults are those of a
    network without pretrained weights.
    """
    if ":" in architecture:
        return arguments
    defaults = {}
    if architecture in TRANSFORMING:
        defaults = {"init_weights": weights is None, "transform_input": weights is not None}
    elif weights is not None and architecture.startswith("vit_"):
        defaults = {"image_size": weights.meta["min_size"][0]}
    return {**defaults, **arguments}
