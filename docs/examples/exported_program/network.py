"""The load of a power grid in the next hours, from the hours before and the weather forecast."""

import torch
from torch import nn


class Forecaster(nn.Module):
    """A convolutional network over the hours before, and a dense one for the weather."""

    def __init__(self, width: int = 16, ahead: int = 6) -> None:
        super().__init__()
        self.past = nn.Sequential(nn.Conv1d(1, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1))
        self.weather = nn.Linear(ahead, width)
        self.load, self.peak = nn.Linear(2 * width, ahead), nn.Linear(2 * width, 1)

    def forward(self, history: torch.Tensor, *, temperature: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `load` (N, 6) and `peak` (N, 1) for the hours before (N, hours) and temperatures (N, 6)."""
        past = self.past(history[:, None]).mean(dim=2)
        facts = torch.cat([past, self.weather(temperature)], dim=1)
        return {"load": self.load(facts), "peak": self.peak(facts)}
