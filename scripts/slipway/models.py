"""PyTorch models by name: torchvision's classifiers and any importable factory; state dicts in canonical form."""

import argparse
import importlib
import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import SlipwayError
from slipway.networks.factories import made

if TYPE_CHECKING:
    import torch

# Keys under which training frameworks wrap the state dict of a checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# What a wrapped module's parameter names start with: DistributedDataParallel's and torch.compile's.
_PREFIXES = ("module.", "_orig_mod.")


def build(architecture: str, arguments: dict | None = None) -> "torch.nn.Module":
    """Return the architecture with its initial weights, in eval mode.

    `architecture` is a torchvision classification model ("resnet50") or "package.module:factory", a callable that
    returns a torch.nn.Module; `arguments` are its keyword arguments. Raises SlipwayError when it cannot be imported, or
    not be called with them.
    """
    return made(_factory(architecture), architecture, arguments or {})


def load_model(weights: str | Path, record: dict) -> "torch.nn.Module":
    """Return the model of a canonical checkpoint and its record, in eval mode on the CPU."""
    model = build(record["architecture"], record["arguments"])
    load_strictly(model, read_checkpoint(weights), weights)
    return model


def read_checkpoint(path: str | Path) -> dict[str, "torch.Tensor"]:
    """Return the state dict of a .safetensors or PyTorch file; nothing in the file is executed.

    Raises SlipwayError when the file is missing, truncated, holds pickled code, or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise SlipwayError(f"checkpoint {path} does not exist; correct `weights` in config.yaml")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pytorch(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    return _without_prefixes(_only_tensors(content, path))


def load_strictly(model: "torch.nn.Module", state: dict[str, "torch.Tensor"], origin: str | Path) -> None:
    """Load `state` into `model`; raise SlipwayError with what differs unless every name and shape fits."""
    expected = model.state_dict()
    missing = sorted(set(expected) - set(state))
    unexpected = sorted(set(state) - set(expected))
    reshaped = [
        f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
        for name in sorted(set(expected) & set(state))
        if expected[name].shape != state[name].shape
    ]
    if missing or unexpected or reshaped:
        raise SlipwayError(
            f"checkpoint {origin} is of another architecture: {_few(missing)} missing, {_few(unexpected)} unknown, "
            f"{_few(reshaped)} of another shape; correct `architecture`, its `arguments` (such as num_classes) or "
            "`weights` in config.yaml"
        )
    model.load_state_dict(state, strict=True)


def _factory(architecture: str) -> Callable[..., "torch.nn.Module"]:
    """Return what makes models of an architecture, called with its keyword arguments."""
    if ":" not in architecture:
        import torchvision

        return partial(torchvision.models.get_model, architecture, weights=None)
    module, _, factory = architecture.partition(":")
    try:
        target = importlib.import_module(module)
        for name in factory.split("."):
            target = getattr(target, name)
    except Exception as error:  # whatever the user's own module raises
        traceback.print_exc()
        raise SlipwayError(
            f"architecture {architecture} cannot be imported ({error}); install its package into this environment or "
            "name its folder in PYTHONPATH, or correct `architecture` in config.yaml"
        ) from None
    return target


def _read_safetensors(path: Path) -> dict[str, "torch.Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SlipwayError(f"checkpoint {path} is truncated or no safetensors file ({error}); copy it again") from None


def _read_pytorch(path: Path) -> object:
    import pickle

    import torch

    try:
        # The options of a training, which torchvision's and timm's programs save beside the weights, run nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its damage leads to
        if "TorchScript" in str(error):
            raise SlipwayError(
                f"checkpoint {path} is a TorchScript archive, which was not loaded; save model.state_dict(), best as "
                ".safetensors"
            ) from None
        # Up to PyTorch's own advice, which is to trust the file.
        forbidden = re.search(
            r"(?:Unsupported (?:global|class)|Trying to \w+).*?(?= was not an allowed|$)", str(error), re.MULTILINE
        )
        if isinstance(error, pickle.UnpicklingError) and forbidden:
            raise SlipwayError(
                f"checkpoint {path} holds more than weights and would run code when loaded, so it was not loaded "
                f"({forbidden[0]}); save only model.state_dict(), best as .safetensors"
            ) from None
        raise SlipwayError(
            f"checkpoint {path} is truncated or no PyTorch file ({type(error).__name__}); copy it again"
        ) from None


def _only_tensors(content: object, path: Path) -> dict[str, "torch.Tensor"]:
    import torch

    tensors = (
        {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        held = _few(sorted(map(str, content))) if isinstance(content, dict) else type(content).__name__
        raise SlipwayError(
            f"checkpoint {path} holds no state dict, at its top or as {' or '.join(_WRAPPERS)}, but {held}; save "
            "model.state_dict()"
        )
    return tensors


def _without_prefixes(state: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    while prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _few(items: list[str]) -> str:
    return "none" if not items else f"{len(items)} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"
