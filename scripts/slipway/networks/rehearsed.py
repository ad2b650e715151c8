"""Random weights for a rehearsal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The standard deviation with which transformers initialise their weights.
DEVIATION = 0.02


def fill_zero_weights(model: "torch.nn.Module") -> None:
    """Give matrices and kernels that start at zero, such as a Vision Transformer's last layer, random values.

    With zeros there every answer would be zero, and nothing could be compared.
    """
    import torch

    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.trunc_normal_(parameter, std=DEVIATION)
