"""The weights that torchvision publishes, and the arguments that its builders give to networks that take them."""

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.artifacts import sha256

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# Networks that can normalise their input once more: those of torchvision's published weights do.
TRANSFORMING = ("googlenet", "inception_v3")


def published_weights(architecture: str, checkpoint: Path) -> "WeightsEnum | None":
    """Return the weights of torchvision's that a local file is a copy of, known by the SHA-256 in their address."""
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
    """Return the arguments of the network that takes some weights, as torchvision's own builder completes them.

    The user's own win. A checkpoint of one's own (None) has the defaults of a network without pretrained weights.
    """
    if ":" in architecture:
        return arguments
    defaults = {}
    if architecture in TRANSFORMING:
        defaults = {"init_weights": weights is None, "transform_input": weights is not None}
    elif weights is not None and architecture.startswith("vit_"):
        defaults = {"image_size": weights.meta["min_size"][0]}
    return {**defaults, **arguments}
