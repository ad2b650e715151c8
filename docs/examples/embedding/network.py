"""A small convolutional network that describes a picture by 64 numbers of length one."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class Embedding(nn.Module):
    """Similar pictures get vectors whose cosine is near one."""

    def __init__(self, size: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU())
                for before, after in pairwise(widths)
            ),
            nn.AdaptiveAvgPool2d(2),
        )
        self.head = nn.Linear(4 * widths[-1], size)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return vectors (N, size) of length one, of pictures (N, 3, 64, 64)."""
        return functional.normalize(self.head(self.body(picture).flatten(1)))


def embedding(size: int = 64) -> Embedding:
    """Return the network without trained weights."""
    return Embedding(size)
