"""Read the tensors of a checkpoint file from any training program. No code of the file is executed."""

import argparse
import pathlib
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from slipway.core.errors import SlipwayError
from slipway.models.archive_checksums import require_intact

# Types that training programs save beside the weights. A stand-in replaces each type, and runs no code of the file.
_HARMLESS = (
    argparse.Namespace,
    *(
        (pure, f"{module}.{name}")
        for pure in (pathlib.PurePosixPath, pathlib.PureWindowsPath)
        for module in ("pathlib", "pathlib._local")
        for name in (pure.__name__, pure.__name__.removeprefix("Pure"))
    ),
    (OrderedDict, "lightning_fabric.utilities.data.AttributeDict"),
    (OrderedDict, "lightning.fabric.utilities.data.AttributeDict"),
    (OrderedDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
)


@dataclass
class Content:
    """The tensors of a checkpoint by their dotted names, such as "state_dict.module.conv1.weight".

    `mappings`: {tensor: dotted path of the mapping that holds the tensor}. `versions`: {dotted path of a module: its
    metadata in PyTorch's state dict, such as {"version": 2}}. `keys`: the keys at the top level of the file. `noted`:
    the name of the network, if the training program saved its name, else None.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    mappings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    noted: str | None = None


def read_checkpoint(path: str | Path) -> Content:
    """Return the content of a .safetensors or PyTorch file.

    Raises SlipwayError if the file is missing or truncated, holds pickled code, or has no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise SlipwayError(f"checkpoint {path} does not exist; correct `weights` in config.yaml")
    require_intact(path)
    content = content_of(_read_safetensors(path) if _is_safetensors(path) else _read_pytorch(path))
    if not content.tensors:
        held = f"{len(content.keys)} ({', '.join(content.keys[:3])})" if content.keys else "nothing by name"
        raise SlipwayError(f"checkpoint {path} holds no state dict, but {held}; save model.state_dict()")
    return content


def content_of(saved: object) -> Content:
    """Return all named tensors in an object that a training program saved, such as {"epoch": 3, "state_dict": {...}}.

    The tensors may lie in mappings and lists, at any depth. An object that is no mapping gives an empty Content. Raises
    SlipwayError if two tensors have the same dotted name.
    """
    content = Content()
    if isinstance(saved, Mapping):
        content.keys = sorted(map(str, saved))
        content.noted = _noted_name(saved)
        _collect(saved, "", content)
    return content


def _noted_name(saved: Mapping) -> str | None:
    """Return the network's name that a checkpoint states, or None without a name.

    The name is the entry `arch` of `saved`, the checkpoint's content, or is in its training options.
    """
    options = saved.get("args") or saved.get("hyper_parameters")
    options = vars(options) if isinstance(options, argparse.Namespace) else options
    candidates = [saved.get("arch")]
    if isinstance(options, Mapping):
        candidates += [options.get(name) for name in ("model", "arch", "model_name")]
    return next((name for name in candidates if isinstance(name, str)), None)


def dotted(*parts: str) -> str:
    """Join the parts that are not empty with dots, such as "ema" and "conv.weight" to "ema.conv.weight"."""
    return ".".join(part for part in parts if part)


def _collect(saved: Mapping | list | tuple, path: str, content: Content) -> None:
    versions = getattr(saved, "_metadata", None)
    if isinstance(versions, Mapping):
        content.versions |= {dotted(path, str(module)): version for module, version in versions.items()}
    entries = saved.items() if isinstance(saved, Mapping) else ((str(index), item) for index, item in enumerate(saved))
    for name, value in entries:
        if not isinstance(name, str):
            continue  # an optimizer's state, whose names are the numbers of parameters
        full = dotted(path, name)
        if isinstance(value, torch.Tensor):
            if full in content.tensors:
                raise SlipwayError(f"the checkpoint holds two tensors that are {full}; save model.state_dict()")
            content.tensors[full], content.mappings[full] = value.detach(), path
        elif isinstance(value, Mapping | list | tuple):
            _collect(value, full, content)


def _is_safetensors(path: Path) -> bool:
    """Return whether a file is a safetensors file, by its suffix or by its first bytes (a length, then a brace)."""
    with path.open("rb") as file:
        first = file.read(9)
    return path.suffix == ".safetensors" or (first[8:] == b"{" and first[6:8] == b"\0\0")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SlipwayError(f"checkpoint {path} is truncated or no safetensors file ({error}); copy it again") from None


def _read_pytorch(path: Path) -> object:
    try:
        with torch.serialization.safe_globals([*_HARMLESS, *_numpy_values()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise any exception
        raise SlipwayError(f"checkpoint {path} {_reason(error)}") from None


def _numpy_values() -> list:
    """Return the functions and types that PyTorch must allow to unpickle NumPy's numbers and arrays."""
    import _codecs

    import numpy as np

    scalar, rebuild = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    makers = [
        (maker, f"numpy.{package}.multiarray.{name}")
        for package in ("core", "_core")
        for maker, name in ((scalar, "scalar"), (rebuild, "_reconstruct"))
    ]
    kinds = {type(np.dtype(kind)) for kind in (*np.typecodes["AllInteger"], *np.typecodes["AllFloat"], "?", "U1", "S1")}
    return [*makers, np.ndarray, np.dtype, *kinds, _codecs.encode]


def _reason(error: Exception) -> str:
    if "TorchScript" in str(error):
        return (
            "is a TorchScript archive, which has its network inside; leave `architecture` out of the model in "
            "config.yaml, or save the model.state_dict() of the network that was scripted, best as .safetensors"
        )
    # Cut off PyTorch's own advice, which is to trust the file.
    match = re.search(
        r"(?:Unsupported (?:global|class)|Trying to \w+).*?(?= was not an allowed|$)", str(error), re.MULTILINE
    )
    if isinstance(error, pickle.UnpicklingError) and match:
        return (
            f"holds more than weights and would run code when loaded, so it was not loaded ({match[0]}); save only "
            "model.state_dict(), best as .safetensors"
        )
    return f"is truncated or no PyTorch file ({type(error).__name__}); copy it again"
