"""Random weights for a rehearsal: a run of the workflow without a trained checkpoint."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The usual standard deviation of transformers' initial weights.
DEVIATION = 0.02


def fill_zero_weights(model: "torch.nn.Module") -> None:
    """Give random values to matrices and kernels that are initialised with zeros, such as a ViT's last layer.

    With zeros every answer would be zero, and comparisons would prove nothing.
    """
    import torch

    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.trunc_normal_(parameter, std=DEVIATION)
