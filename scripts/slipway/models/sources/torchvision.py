"""torchvision's networks, by their names, and the weights that torchvision publishes for these networks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.classification.published import published_weights
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.models.source_interface import PublishedPreprocessing, Source
from slipway.networks.downloads import download_timeout

if TYPE_CHECKING:
    import torch
    from torchvision.models import WeightsEnum

# Networks with an input normalisation of their own. It is on for torchvision's published weights.
_TRANSFORMING = ("googlenet", "inception_v3")


class Torchvision(Source):
    """The source of torchvision's networks. The table of `classification.published` has their preprocessing."""

    title = "torchvision"
    is_reproducible = True

    def factory(self, architecture: str) -> "Callable[..., torch.nn.Module]":
        """Return torchvision's function that makes a network without any weights."""
        import torchvision

        # By default, a segmentation network would download weights of its backbone, which are then replaced.
        is_segmentation = architecture in torchvision.models.list_models(module=torchvision.models.segmentation)
        no_weights = {"weights": None, **({"weights_backbone": None} if is_segmentation else {})}
        return partial(torchvision.models.get_model, architecture, **no_weights)

    def named_weights(self, architecture: str, name: str) -> "WeightsEnum":
        """Return torchvision's weights with the name `name`; for "default", the default weights.

        Raises SlipwayError if torchvision has no weights of this name.
        """
        import torchvision

        published = torchvision.models.get_model_weights(architecture)
        if name != "default" and name not in published.__members__:
            raise SlipwayError(
                f"torchvision has no weights {name} for {architecture}; set `weights` to one of "
                f"{', '.join(published.__members__)}, default"
            )
        return published.DEFAULT if name == "default" else published[name]

    def recognised(self, architecture: str, checkpoint: Path) -> "WeightsEnum | None":
        """Return torchvision's weights if `checkpoint` is a copy of their file, by the SHA-256 in their URL."""
        import torchvision

        content = sha256(checkpoint)
        for weights in torchvision.models.get_model_weights(architecture):
            start = Path(weights.url).stem.rpartition("-")[2]
            if len(start) >= 8 and content.startswith(start):
                return weights
        return None

    def download(self, published: "WeightsEnum") -> dict:
        """Return the state dict {name: tensor} of torchvision's published weights.

        PyTorch keeps downloads in one cache for all projects of a user. If two jobs need the same file at once, one
        downloads and the other waits.
        """
        import filelock
        import torch

        cache = Path(torch.hub.get_dir())
        cache.mkdir(parents=True, exist_ok=True)
        with download_timeout(), filelock.FileLock(cache / "slipway.lock"):
            return published.get_state_dict(progress=False, check_hash=True)

    def network_arguments(self, architecture: str, arguments: dict, published: "WeightsEnum | None") -> dict:
        """Return the keyword arguments with which torchvision makes the network for these weights, {name: value}.

        Some weights need other defaults, such as `transform_input` or `image_size`. The user's arguments take
        precedence. For the user's own checkpoint (`published` is None), the defaults are those without pretrained
        weights.
        """
        defaults: dict[str, object] = {}
        if architecture in _TRANSFORMING:
            defaults = {"init_weights": published is None, "transform_input": published is not None}
        elif published is not None and architecture.startswith("vit_"):
            defaults = {"image_size": published.meta["min_size"][0]}
        return {**defaults, **arguments}

    def notes(self, architecture: str, arguments: dict, published: "WeightsEnum | None") -> list[str]:
        """Return a list with one sentence if `arguments` should state `transform_input`; otherwise [].

        GoogLeNet and Inception v3 can normalise their inputs themselves. A user's own checkpoint (`published` is None)
        does not say whether they did in the training, so the sentence tells the user which value is assumed.
        """
        if architecture not in _TRANSFORMING or published or "transform_input" in arguments:
            return []
        return [
            f"{architecture} has transform_input: false, as torchvision makes it without pretrained weights; if the "
            "training started from torchvision's, set `arguments: {transform_input: true}`, since no checkpoint says so"
        ]

    def preprocessing(self, architecture: str, arguments: dict, weights: str) -> PublishedPreprocessing | None:
        """Return the preprocessing that torchvision publishes for weights of this name; None for a checkpoint.

        For "random" weights, it is that of the default weights.
        """
        published = published_weights(architecture, "default" if weights == "random" else weights)
        return PublishedPreprocessing(published.preprocess, str(published)) if published else None


SOURCE = Torchvision()
