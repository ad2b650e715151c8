"""Run a network on a sample before its outputs are known, and check that it gives the same answers if built again."""

from functools import partial

import numpy as np
import torch

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError, explained_by
from slipway.models.architectures import build
from slipway.models.loading import few, load
from slipway.networks.answer_structure import is_dense, require_finite, tensors_in
from slipway.networks.calling import call_of
from slipway.networks.forward_failures import why_it_fails
from slipway.networks.graph_network import runtime_of


def with_float_pixels(sample: Tensors) -> Tensors:
    """Return a sample {input: array} with float32 in place of uint8, as a network takes normalised pixels."""
    return {name: array.astype(np.float32) if array.dtype == np.uint8 else array for name, array in sample.items()}


def in_dtypes_of(model: torch.nn.Module, sample: Tensors) -> Tensors:
    """Return a sample {input: array} in the dtypes that the network takes.

    uint8 arrays become float32, since the served graph can normalise pixels before the network. They stay uint8 if the
    network fails with float32 and takes uint8, such as bytes of a text.
    """
    floats = with_float_pixels(sample)
    has_bytes = any(array.dtype == np.uint8 for array in sample.values())
    return sample if has_bytes and not _takes(model, floats) and _takes(model, sample) else floats


def _takes(model: torch.nn.Module, sample: Tensors) -> bool:
    try:
        call_of(model, list(sample)).on_arrays(model, sample)
    except Exception:  # the network can raise any exception
        return False
    return True


def try_run(model: torch.nn.Module, sample: Tensors) -> list[torch.Tensor]:
    """Return all dense tensors in a network's answer to a sample, at any depth of the answer.

    Raises SlipwayError if the network fails, or if a value is not finite. Sparse, nested and quantised tensors are left
    out, because config.yaml may choose other outputs to serve.
    """
    run = partial(call_of(model, list(sample)).on_arrays, model)
    with explained_by(lambda error: why_it_fails(model, dict(sample), error, run)):
        outputs = list(filter(is_dense, tensors_in(run(sample))))
    for output in outputs:
        require_finite("answer", output, runtime_of(model))
    return outputs


def require_reproducible(model: torch.nn.Module, architecture: str, arguments: dict, sample: Tensors) -> None:
    """Raise SlipwayError if the architecture, built again with the same weights, answers differently.

    A difference shows that the network holds random values outside of the state dict: their trained values are lost.
    `architecture` and `arguments` are those of config.yaml, and `sample` is {input: array}. A network whose answers
    differ from run to run is accepted by this check, and refused by a later one.
    """
    again = build(architecture, arguments, sample)
    load(again, model.state_dict())
    call = call_of(model, list(sample))
    first, repeated, other = (
        list(filter(is_dense, tensors_in(call.on_arrays(network, sample)))) for network in (model, model, again)
    )
    if not _are_close(first, repeated) or _are_close(first, other):
        return
    buffers, new_buffers = dict(model.named_buffers()), dict(again.named_buffers())
    random = [name for name in buffers if not _are_close([buffers[name]], [new_buffers[name]])]
    named = f"its buffers: {few(random)}" if random else "a tensor that is no buffer, or a random choice of layers"
    raise SlipwayError(
        f"architecture {architecture} answers differently each time it is made, with the same weights: it holds random "
        f"values that no checkpoint has ({named}), so the values of the training are lost; keep them in the state dict "
        "(register_buffer with persistent=True) and train or save again, or make them the same each time"
    )


def _are_close(first: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(first) == len(other) and all(
        one.shape == another.shape and torch.allclose(one.double(), another.double(), 1e-4, 1e-6, equal_nan=True)
        for one, another in zip(first, other, strict=True)
    )
