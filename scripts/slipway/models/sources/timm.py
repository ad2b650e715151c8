"""timm's networks, as "timm:NAME" or "timm:NAME.TAG", with timm's published weights and data configurations."""

import difflib
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from slipway.core.errors import SlipwayError
from slipway.models.source_interface import PublishedPreprocessing, Source, name_in

if TYPE_CHECKING:
    import torch

_FILTERS = ("bilinear", "bicubic")


class Published(NamedTuple):
    """The published weights of a network: timm's name of the network, and the URL of the weights."""

    name: str
    url: str


class Timm(Source):
    """The source of timm's networks. Planning does not import timm, since this takes too long."""

    title = "timm"
    package = "timm"
    is_planned = False
    written = "timm:NAME"
    name_patterns: ClassVar[dict[str, str]] = {
        r"(^|\.)blocks\.\d+\.attn\.qkv\.weight$": "timm's vision transformers",
        r"(^|\.)blocks\.\d+\.\d+\.conv_pwl?\.weight$": "timm's EfficientNets and MobileNets",
        r"(^|\.)stages\.\d+\.blocks\.\d+\.": "timm's networks of stages, such as ConvNeXt",
    }

    def factory(self, architecture: str) -> "Callable[..., torch.nn.Module]":
        """Return timm's function that makes a network without weights. Raise SlipwayError if timm lacks the network."""
        self._config(architecture)
        return partial(self.imported(architecture).create_model, name_in(architecture))

    def named_weights(self, architecture: str, name: str) -> Published | None:
        """Return timm's published weights for `architecture`; None if there are none.

        The weights are those of the tag in `architecture`, or of the default tag. Raises SlipwayError if `name` is not
        "default", because timm names weights by the tag.
        """
        if name != "default":
            raise SlipwayError(
                f"`weights` is {name}, but timm's weights are named by the tag in `architecture`, such as "
                "timm:resnet50.a1_in1k; name it there, and set `weights` to default or the path of a checkpoint"
            )
        config = self._config(architecture)
        hub = config.get("hf_hub_id")
        url = f"https://huggingface.co/{hub}" if hub else config.get("url")
        return Published(name_in(architecture), url) if url else None

    def download(self, published: Published) -> dict:
        """Return the state dict {name: tensor} of published weights, from timm's cache or from its hub."""
        import timm

        return timm.create_model(published.name, pretrained=True).state_dict()

    def network_arguments(self, architecture: str, arguments: dict, published: Published | None) -> dict:
        """Return the user's arguments. Raise SlipwayError if they have `pretrained`, which would load weights."""
        if "pretrained" in arguments:
            raise SlipwayError(
                f"the arguments of {architecture} have `pretrained`, but the weights come from `weights`; leave it "
                "out, and set `weights` to default for timm's own"
            )
        return arguments

    def preprocessing(self, architecture: str, arguments: dict, weights: str) -> PublishedPreprocessing:
        """Return the preprocessing in timm's data configuration of a network. `weights` is not used.

        Raises SlipwayError if the inputs are not square or have not three channels.
        """
        sizes = {"img_size": arguments["img_size"]} if isinstance(arguments.get("img_size"), int) else {}
        resolve_data_config = self.imported(architecture, "timm.data").resolve_data_config
        data = resolve_data_config(sizes, pretrained_cfg=self._config(architecture))
        _, height, width = data["input_size"]
        if height != width or arguments.get("in_chans", 3) != 3:
            raise SlipwayError(
                f"{architecture} takes inputs of {arguments.get('in_chans', 3)} x {height} x {width}, but without "
                "`samples` inputs are squares of three channels; name their source as `samples` (docs/models.md)"
            )
        caveats = []
        if data["crop_mode"] != "center":
            caveats.append(f"its crop_mode is {data['crop_mode']}, and here a square from the centre is taken")
        if data["interpolation"] not in _FILTERS:
            caveats.append(f"its interpolation is {data['interpolation']}, and here it is bicubic")
        settings = {
            "resize": math.floor(height / data["crop_pct"]),
            "crop": height,
            "mean": list(data["mean"]),
            "std": list(data["std"]),
            "interpolation": data["interpolation"] if data["interpolation"] in _FILTERS else "bicubic",
        }
        origin = f"timm's data configuration of {name_in(architecture)}"
        return PublishedPreprocessing(settings, origin, "; ".join(caveats))

    def _config(self, architecture: str) -> dict:
        """Return timm's configuration of a network, {field: value}.

        Raises SlipwayError, with the nearest names, if timm does not have the network or its tag.
        """
        timm, name = self.imported(architecture), name_in(architecture)
        stem = name.partition(".")[0]
        if not timm.is_model(stem):
            nearest = difflib.get_close_matches(stem, timm.list_models(), 4, 0.5)
            raise SlipwayError(
                f"timm {timm.__version__} has no network {stem}; correct `architecture` in config.yaml"
                + (f", such as timm:{' or timm:'.join(nearest)}" if nearest else "")
            )
        try:
            config = timm.get_pretrained_cfg(name)
        except RuntimeError:
            tags = timm.list_models(f"{stem}.*", pretrained=True)
            raise SlipwayError(
                f"timm {timm.__version__} publishes no weights {name}; correct the tag in `architecture` of "
                f"config.yaml: timm:{' or timm:'.join(tags[:4])}"
            ) from None
        return config.to_dict() if config else {}


SOURCE = Timm()
