"""A LeNet: scores of the ten digits for small grey pictures."""

import torch
from torch import nn


class LeNet(nn.Module):
    """Two convolutions with pooling, then two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10)),
        )

    def forward(self, digit: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 10) of pictures (N, 1, 28, 28)."""
        return self.layers(digit)


def lenet() -> LeNet:
    """Return the network without trained weights."""
    return LeNet()
