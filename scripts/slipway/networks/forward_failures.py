"""Explain why a network fails on its inputs: wrong sizes, number, channels or dtype, or an error in its code."""

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from slipway.contract.contract import Tensors
from slipway.networks.user_code import first_sentence, missing_package, place_of

if TYPE_CHECKING:
    import torch

# It explains errors, and makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

# Usual heights and widths of the inputs of published networks.
USUAL_SIZES = (224, 32, 64, 96, 128, 256, 299, 384, 112, 160, 192, 240, 260, 288, 300, 320, 380, 448, 456, 512, 28)
# The search for a size that the network accepts ends after SEARCH_S seconds, and at LARGEST.
SEARCH_S, LARGEST = 10, 512
# Errors of PyTorch's operators, or of checks in the network's code, for a wrong size.
_MAY_BE_SIZE = (RuntimeError, ValueError, AssertionError, IndexError)
_OF_TYPES = re.compile(
    r"same dtype|expected scalar type|should be the same|expected .*dtype|but found (Double|Half|BFloat16)"
    r"|following scalar types"
)
_OF_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_OF_STATISTICS = re.compile(r"Expected more than 1 (value per channel|spatial element) when training")
_OF_DEVICE = re.compile(r"NVIDIA driver|not compiled with CUDA|same device|CUDA error|No CUDA GPUs")

# A function that runs the network on named inputs. It may raise any exception.
Run = Callable[[Tensors], object]


def why_it_fails(model: "torch.nn.Module", inputs: Tensors, error: Exception, run: Run, batched: bool = True) -> str:
    """Return a sentence about a network's failure on named inputs: the cause, the line of code, the remedy.

    `error` is the exception of the failure. `run` runs the network on other inputs, to find out whether dtype, number
    or size is the cause; other numbers are tried only if axis 0 is a batch axis (`batched`). A network in a file
    explains its failure itself, since the file states the inputs.
    """
    if hasattr(model, "why_it_fails"):
        return model.why_it_fails(inputs, error)
    message = first_sentence(error)
    failed = f"the network fails on {_shapes(inputs)} ({message}){place_of(error)}"
    if channels := _OF_CHANNELS.search(message):
        return (
            f"{failed}: it takes {channels[1]} channels, and the input has {channels[2]}; let `architecture` name a "
            "factory whose network takes them, or give it other inputs"
        )
    if _OF_STATISTICS.search(message):
        return (
            f"{failed}: it normalises by the statistics of the batch, so an answer would depend on the other samples; "
            "leave this layer in eval mode, with the running statistics of training, or take GroupNorm or LayerNorm"
        )
    if _OF_DEVICE.search(message):
        return f"{failed}: it asks for a GPU by itself; let it leave its tensors on the device of its input"
    if of_other_types := next((text for other, text in _other_dtypes(inputs) if _takes(run, other)), None):
        return f"{failed}, though it takes {of_other_types}; let the samples have that dtype (.astype)"
    if _OF_TYPES.search(message):
        names = other_types(model)
        dtypes = " and ".join(sorted({str(array.dtype) for array in inputs.values()}))
        types = f"its weights are {' and '.join(names)}, and its inputs {dtypes}" if names else "its code mixes types"
        return (
            f"{failed}: {types}; let the factory return it in float32 (`.float()`), since the precision is "
            "chosen by `targets.*.precisions`"
        )
    if isinstance(error, _MAY_BE_SIZE):
        rows = len(next(iter(inputs.values()))) if batched else 0
        counts = (1,) if rows > 1 else (2, 4, 8) if rows else ()
        if count := next((count for count in counts if _takes(run, _repeated(inputs, count))), None):
            taken = "single sample" if count == 1 else f"batch of {count}"
            return (
                f"{failed}, though it takes a {taken}: its code fixes the size of the batch, and Triton makes batches "
                "of any size; write x.shape[0] or -1 where that number stands"
            )
        if size := _size_that_it_takes(run, inputs):
            return (
                f"{failed}, though it takes inputs of {size} x {size}; correct the samples (`preprocess.crop` in "
                "config.yaml), or let `architecture` name a factory whose network takes that size"
            )
    if package := missing_package(error):
        return f"{failed}: it needs the package {package}; install it into this environment"
    given = ", ".join(f"{name} in {array.dtype}" for name, array in inputs.items())
    return (
        f"{failed}, and no other size or dtype was found that it takes; it is called with {given}: correct its forward "
        "or the samples, or let `architecture` name a factory that wraps it in a module which takes them"
    )


def _shapes(inputs: Tensors) -> str:
    if len(inputs) == 1:
        return f"an input of shape {next(iter(inputs.values())).shape}"
    return f"inputs of shapes {', '.join(f'{name} {array.shape}' for name, array in inputs.items())}"


def _other_dtypes(inputs: Tensors) -> Iterator[tuple[Tensors, str]]:
    """Yield (inputs with changed dtypes, the new dtypes in words) to try.

    First, all float64 inputs become float32. Then one input at a time changes its dtype: integers and booleans become
    float32, floats become int64.
    """
    if any(array.dtype == np.float64 for array in inputs.values()):
        yield (
            {name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in inputs.items()},
            "float32 in place of float64",
        )
    for name, array in inputs.items():
        other = np.float32 if array.dtype.kind in "iub" else np.int64
        if array.dtype != other and np.isfinite(array).all():
            yield {**inputs, name: array.astype(other)}, f"{name} in {other.__name__}"


def _repeated(inputs: Tensors, count: int) -> Tensors:
    return {name: array[:1].repeat(count, 0) for name, array in inputs.items()}


def _takes(run: Run, inputs: Tensors) -> bool:
    try:
        run(inputs)
    except Exception:  # the network can raise any exception
        return False
    return True


def _size_that_it_takes(run: Run, inputs: Tensors) -> int | None:
    """Return a side length in pixels that the network accepts as height and width; None if none is found.

    The search ends after SEARCH_S seconds, and tries usual sizes first. Only a network with a single input (N, C, H, W)
    is tried.
    """
    name, array = next(iter(inputs.items()))
    if len(inputs) > 1 or array.ndim != 4:
        return None
    end = time.monotonic() + SEARCH_S
    for size in dict.fromkeys((*USUAL_SIZES, *range(1, LARGEST + 1))):
        if time.monotonic() > end:
            break
        if size != array.shape[-1] and _takes(run, {name: np.zeros((1, array.shape[1], size, size), array.dtype)}):
            return size
    return None


def other_types(model: "torch.nn.Module") -> list[str]:
    """Return the sorted floating-point dtypes of a network's weights if some are not float32; [] otherwise."""
    weights = model.state_dict().values()
    names = {str(weight.dtype).removeprefix("torch.") for weight in weights if weight.is_floating_point()}
    return sorted(names) if names - {"float32"} else []
