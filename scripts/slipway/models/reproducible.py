"""Check that an architecture and a checkpoint determine a network completely."""

import torch

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.loading import few, load


def require_reproducible(model: torch.nn.Module, architecture: str, arguments: dict, example: torch.Tensor) -> None:
    """Raise SlipwayError if the architecture, built again with the same weights, answers differently.

    Then the network holds random values that are in no state dict, and the values of the training are lost. `example`
    is an input (N, 3, H, W). A network whose own answers vary from run to run passes here; other checks refuse it.
    """
    again = build(architecture, arguments, example.shape)
    load(again, model.state_dict())
    with torch.inference_mode():
        first, repeated, other = model(example), model(example), again(example)
    if not _are_close(first, repeated) or _are_close(first, other):
        return
    buffers, new_buffers = dict(model.named_buffers()), dict(again.named_buffers())
    random = [name for name in buffers if not _are_close(buffers[name], new_buffers[name])]
    named = f"its buffers: {few(random)}" if random else "a tensor that is no buffer, or a random choice of layers"
    raise SlipwayError(
        f"architecture {architecture} answers differently each time it is made, with the same weights: it holds random "
        f"values that no checkpoint has ({named}), so the values of the training are lost; keep them in the state dict "
        "(register_buffer with persistent=True) and train or save again, or make them the same each time"
    )


def _are_close(first: object, other: object) -> bool:
    if not isinstance(first, torch.Tensor) or not isinstance(other, torch.Tensor):
        return True  # other types are refused elsewhere
    return first.shape == other.shape and torch.allclose(first, other, rtol=1e-4, atol=1e-6, equal_nan=True)
