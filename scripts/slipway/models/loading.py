"""Load a state dict strictly, by the network's own method, and report everything that does not fit."""

import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from slipway.core.errors import SlipwayError

_RESHAPED = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[(.*?)\]\) from checkpoint, "
    r"the shape in current model is torch\.Size\(\[(.*?)\]\)"
)
# BatchNorm's counter of training steps: PyTorch before 0.4.1 had none, and eval mode does not need it.
COUNTER = "num_batches_tracked"
# In the names of weights that PyTorch's quantised modules keep in a form of their own.
PACKED = "_packed_params"


@dataclass(frozen=True)
class Differences:
    """The differences between a state dict and a network, found by `load`.

    `missing`: names of tensors that only the network has. `unexpected`: names of tensors that only the state dict has.
    `reshaped`: a sentence for each tensor with different shapes. `others`: a sentence for each other error.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of differences: 0 if the state dict fits."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped) + len(self.others)

    def __str__(self) -> str:
        """Return the differences as a part of a sentence, with up to three examples of each kind."""
        names = f"{few(self.missing)} missing, {few(self.unexpected)} unknown, {few(self.reshaped)} of another shape"
        return "; ".join([*([names] if len(self) > len(self.others) else []), *self.others[:3]])


def state_dict(tensors: Mapping[str, torch.Tensor], versions: Mapping[str, Any]) -> OrderedDict[str, torch.Tensor]:
    """Return a new state dict of `tensors` with `versions`, {module: metadata}, such as {"layer": {"version": 2}}.

    The versions are copied, because PyTorch changes the versions of a state dict that it loads.
    """
    state: Any = OrderedDict(tensors)
    state._metadata = OrderedDict((module, dict(version)) for module, version in versions.items())
    return state


def load(model: torch.nn.Module, state: Mapping[str, torch.Tensor], *, assign: bool = False) -> Differences:
    """Load `state`, a state dict, into `model`, and return the differences. With any difference, the model is unusable.

    The modules' own hooks run, so names of older versions of modules are accepted. With `assign`, the tensors become
    the parameters themselves with their own dtype, instead of being copied.
    """
    incompatible, problems, tied = [], [], tied_names(model)
    hook = model.register_load_state_dict_post_hook(lambda _, keys: incompatible.append(keys))
    try:
        with warnings.catch_warnings(action="ignore"):
            model.load_state_dict(state, strict=False, assign=assign)
    except RuntimeError as error:  # one line for each tensor that does not fit
        problems = [line.strip() for line in str(error).splitlines()[1:] if line.strip()] or [str(error)]
    except Exception as error:  # a module's hook can raise any exception
        problems = [f"{type(error).__name__}: {error}"]
    finally:
        hook.remove()
        model.train(model.training)  # a hook may have added new modules, which start in training mode
    missing, unexpected = incompatible[-1] if incompatible else ([], [])
    absent = {name for name in missing if name.rpartition(".")[2] != COUNTER}
    loaded = {name for names in tied if not absent.issuperset(names) for name in names}
    return Differences(
        missing=sorted(absent - loaded),
        unexpected=sorted(unexpected),
        reshaped=sorted(_shapes(match) for problem in problems if (match := _RESHAPED.search(problem))),
        others=[problem for problem in problems if not _RESHAPED.search(problem)],
    )


def require_tensors(model: torch.nn.Module) -> None:
    """Raise SlipwayError if the network's state dict has a value that is not a tensor, such as packed weights."""
    others = sorted(name for name, value in model.state_dict().items() if not isinstance(value, torch.Tensor))
    if any(PACKED in name for name in others):
        raise SlipwayError(
            f"the network has quantised modules ({others[0]}), which no ONNX file holds; let the factory make the "
            "float network and give its float weights: Slipway quantises itself, by `precisions: [int8]` of a target"
        )
    if others:
        raise SlipwayError(
            f"the state dict of the network has an entry that is no tensor ({others[0]}), which a safetensors file "
            "cannot store; let the factory make the network without it"
        )


def tied_names(model: torch.nn.Module) -> list[list[str]]:
    """Return the names of tied weights: a sorted list of names for each tensor with several names in the state dict."""
    names_by_tensor: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            names_by_tensor.setdefault(id(tensor), []).append(name)
    return [sorted(names) for names in names_by_tensor.values() if len(names) > 1]


def few(items: list[str]) -> str:
    """Return the number of items and the first three, such as "5 (a, b, c, ...)"; "none" without items."""
    return "none" if not items else f"{len(items)} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"


def _shapes(match: re.Match) -> str:
    name, *shapes = match.groups()
    given, expected = (tuple(int(size) for size in shape.split(",") if size.strip()) for shape in shapes)
    return f"{name} is {given}, not {expected}"
