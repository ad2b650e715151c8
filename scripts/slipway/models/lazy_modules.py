"""Initialise lazy modules such as LazyLinear, whose parameters have no shape before the network has run once."""

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.core.errors import SlipwayError

if TYPE_CHECKING:
    import torch


def settle(model: "torch.nn.Module", input_shape: Sequence[int]) -> "torch.nn.Module":
    """Return the model with its lazy parameters, if any, initialised by a forward pass of an input (N, 3, H, W).

    Raises SlipwayError if a model with lazy modules does not accept this input.
    """
    import torch
    from torch.nn.modules.lazy import LazyModuleMixin

    if not any(isinstance(module, LazyModuleMixin) for module in model.modules()):
        return model
    try:
        with torch.no_grad():
            model(torch.zeros(*input_shape))
    except Exception as error:  # the user's code can raise any exception
        traceback.print_exc()
        message = str(error).strip().partition("\n")[0] or type(error).__name__
        raise SlipwayError(
            f"the network has lazy modules, whose shapes come from its first input, but does not take one of shape "
            f"{tuple(input_shape)} ({message}); correct `preprocess.crop` in config.yaml, or give the modules sizes"
        ) from None
    return model.eval()
