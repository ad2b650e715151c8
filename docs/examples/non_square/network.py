"""Estimate how steep and how rough a strip of terrain is."""

import torch
from torch import nn


class Terrain(nn.Module):
    """Convolutions over heights, then two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)),
        )

    def forward(self, heights: torch.Tensor) -> torch.Tensor:
        """Return (N, 2), the mean slope and the standard deviation of the slope, for strips (N, 1, 48, 160)."""
        return self.layers(heights)


def terrain() -> Terrain:
    """Return the network without trained weights."""
    return Terrain()
