"""Name the tensors in a network's answer: a tensor, tuple, list, dictionary, dataclass or named tuple."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from slipway.core.errors import SlipwayError

# The names of outputs to which the network gives none.
_UNNAMED = re.compile(r"output(_\d+)?")
# Two names look alike from the ratio _NEAR of difflib on, and unlike below _FAR.
_NEAR, _FAR = 0.8, 0.6


def named_outputs(answer: object, names: Sequence[str] | None = None) -> dict[str, torch.Tensor]:
    """Name the tensors in a network's answer. Return {name: tensor}. Entries that are None are left out.

    `names` are the keys of the entries to take, or new names for all entries in their order. Without `names`, an entry
    without a name is "output", or "output_0", "output_1" and so on. Raises SlipwayError if the answer has other
    entries, or if an entry is no dense tensor of real numbers.
    """
    entries = _entries(answer)
    chosen = _chosen(entries, names) if names else entries
    if not chosen:
        raise SlipwayError(f"the network answers with {_in_words(answer)}, which has no tensor; {_WRAP}")
    tensors = [name for name, value in entries.items() if isinstance(value, torch.Tensor)]
    for name, value in chosen.items():
        _require_tensor(name, value, tensors, answer)
    return chosen


def tensors_in(answer: object) -> list[torch.Tensor]:
    """Return all tensors in an answer of any structure."""
    return [leaf for leaf in tree_leaves(answer) if isinstance(leaf, torch.Tensor)]


def is_dense(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has one number for each place: False for sparse, nested and quantised tensors."""
    return tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized


def dtype_of(tensor: torch.Tensor) -> str:
    """Return the name of a tensor's dtype, such as float16."""
    return str(tensor.dtype).removeprefix("torch.")


def require_finite(name: str, values: torch.Tensor, runtime: str = "PyTorch") -> None:
    """Raise SlipwayError if `values`, the output `name` of the network, has NaN or infinities.

    `runtime` is the name of the runtime that computed the values, for the message.
    """
    if values.is_floating_point() and not torch.isfinite(values).all():
        raise SlipwayError(
            f"the {name} of the network has NaN or infinities in {runtime} already: its checkpoint is of a training "
            "that diverged, or damaged (take an earlier one), or its code masks values with infinity (let it use a "
            "large finite number)"
        )


_WRAP = (
    "let `architecture` name a factory that wraps the network in a module which returns a tensor, a tuple of tensors "
    "or a dictionary of tensors"
)


def _entries(answer: Any) -> dict[str, object]:
    if isinstance(answer, Mapping):
        entries = {str(key): value for key, value in answer.items()}
        if len(entries) < len(answer):
            raise SlipwayError(
                f"the network answers with {_in_words(answer)}: two of these keys are one name as text; {_WRAP}"
            )
    elif dataclasses.is_dataclass(answer):
        entries = {entry.name: getattr(answer, entry.name) for entry in dataclasses.fields(answer)}
    elif hasattr(answer, "_fields"):  # a named tuple
        entries = answer._asdict()
    else:
        values = [value for value in (answer if isinstance(answer, tuple | list) else [answer]) if value is not None]
        entries = {"output" if len(values) == 1 else f"output_{index}": value for index, value in enumerate(values)}
    return {name: value for name, value in entries.items() if value is not None}


def _chosen(entries: dict[str, object], names: Sequence[str]) -> dict[str, object]:
    if all(name in entries for name in names):
        return {name: entries[name] for name in names}
    if len(names) == len(entries) and not any(name in entries for name in names):
        _require_order(tuple(names), tuple(entries))
        return dict(zip(names, entries.values(), strict=True))
    has = f"{len(entries)} output{'s' * (len(entries) != 1)} ({', '.join(entries) or 'none'})"
    raise SlipwayError(
        f"the outputs are to be {', '.join(names)}, but the network answers with {has}; let `outputs` of the model in "
        "config.yaml name some of these, or give a new name to each of them in their order"
    )


@cache
def _require_order(names: tuple[str, ...], own: tuple[str, ...]) -> None:
    """Raise SlipwayError if new names of outputs seem to be in the wrong order.

    `own` are the network's own names, which `names` replace in this order. A new name is refused if it resembles the
    own name of another output, but not the own name that it replaces. If the outputs have no own names ("output_0" and
    so on), any new names are accepted.
    """
    if all(_UNNAMED.fullmatch(name) for name in own):
        return
    for name, replaced in zip(names, own, strict=True):
        for other in own:
            is_near = SequenceMatcher(None, name, other).ratio() > _NEAR or (len(other) > 2 and other in name)
            if is_near and SequenceMatcher(None, name, replaced).ratio() < _FAR and replaced not in name:
                raise SlipwayError(
                    f"the outputs of the network are {', '.join(own)}, so by its place in `outputs` of config.yaml "
                    f"{name} would be its {replaced}, but looks like its {other}; write the network's own names, or "
                    "give new names to all outputs in their order"
                )


def _require_tensor(name: str, value: object, tensors: list[str], answer: object) -> None:
    if not isinstance(value, torch.Tensor):
        if isinstance(answer, list | tuple) and isinstance(value, Mapping):
            raise SlipwayError(
                f"the network answers with {_in_words(answer)} with {', '.join(map(str, value))}: one for each sample "
                "of a batch, so the number of outputs varies, which no graph can have; let `architecture` name a "
                "factory that wraps the network in a module which returns tensors, such as all boxes and scores before "
                "the selection (NMS), and select in the client"
            )
        remedy = _WRAP
        if tensors and not isinstance(answer, tuple | list):
            others = ", ".join(f"{other}: tensor" for other in tensors)
            remedy = f"leave it out by `outputs: {{{others}}}` of the model in config.yaml, or {_WRAP}"
        raise SlipwayError(f"the output {name} of the network is {_in_words(value)}, not one tensor; {remedy}")
    if value.dtype.is_complex:
        raise SlipwayError(
            f"the output {name} of the network has complex numbers ({dtype_of(value)}), which no server can send; let "
            "the network return real and imaginary parts as two tensors (torch.view_as_real)"
        )
    if value.is_floating_point() and value.dtype.itemsize < 2:
        raise SlipwayError(
            f"the output {name} of the network is {dtype_of(value)}, which no server can send; let the network return "
            "it in float32 (.float())"
        )
    if not is_dense(value):
        raise SlipwayError(
            f"the output {name} of the network is a sparse, nested or quantised tensor, which no graph can have; let "
            "the network return a dense one (.to_dense(), .to_padded_tensor(0), .dequantize())"
        )


def _in_words(value: object) -> str:
    if isinstance(value, tuple | list) and value:
        kinds = sorted({type(part).__name__ for part in value})
        return f"a {type(value).__name__} of {len(value)} ({', '.join(kinds)})"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(str, value)) or 'nothing'}"
    return f"a {type(value).__name__}"
