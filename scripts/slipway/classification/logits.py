"""PyTorch's logits of a classifier."""

import traceback

import numpy as np

from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.networks.forward_failures import why_it_fails


def logits_of(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Return PyTorch's float32 logits (N, classes) for images (N, 3, H, W), computed on the CPU.

    Raises SlipwayError if the model fails on the images, or if its output is no tensor (N, classes) of finite
    floating-point numbers.
    """

    def run(inputs: dict[str, np.ndarray]) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(inputs["input"]))

    try:
        logits = run({"input": images})
    except Exception as error:  # the user's model can raise any exception
        traceback.print_exc()
        raise SlipwayError(why_it_fails(model, {"input": images}, error, run)) from None
    is_tensor = isinstance(logits, torch.Tensor)
    if not is_tensor or logits.ndim != 2:
        answer = f"a tensor of shape {tuple(logits.shape)}" if is_tensor else type(logits).__name__
        raise SlipwayError(
            f"the model answers with {answer}, not with one tensor of logits (N, classes); let `architecture` name a "
            "factory that wraps it in a module which returns them alone"
        )
    if not logits.dtype.is_floating_point:
        kind = "whole numbers or truth values, such as the class that it chose"
        raise SlipwayError(
            f"the model answers in {str(logits.dtype).removeprefix('torch.')}, which are "
            f"{'complex numbers' if logits.dtype.is_complex else kind}, not scores; let `architecture` name a factory "
            "whose network returns its floating-point logits"
        )
    if len(logits) != len(images):
        raise SlipwayError(
            f"the model answers a batch of {len(images)} pictures with {len(logits)} rows of logits, not with one for "
            "each; let it keep the batch axis, the first one, as it is"
        )
    if not torch.isfinite(logits).all():
        raise SlipwayError(
            "the model answers with NaN or infinities in PyTorch already: its checkpoint is of a training that "
            "diverged, or damaged; take an earlier one"
        )
    return logits.float().numpy()
