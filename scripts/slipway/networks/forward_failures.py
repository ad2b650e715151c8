"""Explain why a network fails on a batch of pictures: their size, number, channels or dtype, or its own code."""

import re
import time
from typing import TYPE_CHECKING

import numpy as np

from slipway.core.errors import causes
from slipway.networks.user_code import first_sentence, line_of

if TYPE_CHECKING:
    import torch

# It explains errors, and makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

# Side lengths in pixels of the inputs of published networks.
USUAL_SIZES = (224, 32, 64, 96, 128, 256, 299, 384, 112, 160, 192, 240, 260, 288, 300, 320, 380, 448, 456, 512, 28)
# The search for a size that the network accepts ends after SEARCH_S seconds, and at LARGEST pixels.
SEARCH_S, LARGEST = 10, 512
# Errors of PyTorch's operators, or of checks in the network's code, for a wrong size.
_MAY_BE_SIZE = (RuntimeError, ValueError, AssertionError, IndexError)
_OF_TYPES = re.compile(
    r"same dtype|expected scalar type|should be the same|expected .*dtype|but found (Double|Half|BFloat16)"
)
_OF_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_OF_DEVICE = re.compile(r"NVIDIA driver|not compiled with CUDA|same device|CUDA error|No CUDA GPUs")


def why_it_fails(model: "torch.nn.Module", images: np.ndarray, error: Exception) -> str:
    """Return a sentence about the failure of a network on images (N, 3, H, W): its cause, its place, the remedy.

    The network is tried with other pictures, to find out whether their size or their number is the cause.
    """
    message, line = first_sentence(error), line_of(error)
    place = f" at {line}" if line else ""
    failed = f"the network fails on an input of shape {images.shape} ({message}){place}"
    if channels := _OF_CHANNELS.search(message):
        return (
            f"{failed}: it takes pictures of {channels[1]} channels, and photographs have {channels[2]}; let "
            "`architecture` name a factory whose network takes them"
        )
    if _OF_DEVICE.search(message):
        return f"{failed}: it asks for a GPU by itself; let it leave its tensors on the device of its input"
    if _OF_TYPES.search(message):
        names = other_types(model)
        types = (
            f"its weights are {' and '.join(names)}, and its pictures are float32" if names else "its code mixes types"
        )
        return (
            f"{failed}: {types}; let the factory return it in float32 (`.float()`), since the precision is "
            "chosen by `targets.*.precisions`"
        )
    if isinstance(error, _MAY_BE_SIZE):
        counts = (1,) if len(images) > 1 else (2, 4, 8)
        if count := next((count for count in counts if _takes(model, images[:1].repeat(count, 0))), None):
            taken = "single picture" if count == 1 else f"batch of {count}"
            return (
                f"{failed}, though it takes a {taken}: its code fixes the size of the batch, and Triton makes batches "
                "of any size; write x.shape[0] or -1 where that number stands"
            )
        if size := _size_that_it_takes(model, images):
            return (
                f"{failed}, though it takes pictures of {size} x {size} pixels; correct `preprocess.crop` in "
                "config.yaml, or let `architecture` name a factory whose network takes that size"
            )
    missing = next((cause for cause in causes(error) if isinstance(cause, ModuleNotFoundError)), None)
    if missing is not None:
        return f"{failed}: it needs the package {missing.name}; install it into this environment"
    return (
        f"{failed}, and not for the size of the pictures; it is called as model(x) with one batch of float32 pictures: "
        "correct its forward, or let `architecture` name a factory that wraps it in such a module"
    )


def _takes(model: "torch.nn.Module", images: np.ndarray) -> bool:
    import torch

    try:
        with torch.inference_mode():
            model(torch.from_numpy(images))
    except Exception:  # the network can raise any exception
        return False
    return True


def _size_that_it_takes(model: "torch.nn.Module", images: np.ndarray) -> int | None:
    """Return a side length of pictures that the network accepts, usual sizes first; None if SEARCH_S ends before."""
    end = time.monotonic() + SEARCH_S
    for size in dict.fromkeys((*USUAL_SIZES, *range(1, LARGEST + 1))):
        if time.monotonic() > end:
            break
        if size != images.shape[-1] and _takes(model, np.zeros((1, 3, size, size), images.dtype)):
            return size
    return None


def other_types(model: "torch.nn.Module") -> list[str]:
    """Return the sorted floating-point dtypes of a network's weights; [] if all are float32."""
    weights = model.state_dict().values()
    names = {str(weight.dtype).removeprefix("torch.") for weight in weights if weight.is_floating_point()}
    return sorted(names) if names - {"float32"} else []
