"""Which gesture a hand made, from an accelerometer's readings, with a branch and a loop that TorchScript keeps."""

import torch
from torch import nn


class Gestures(nn.Module):
    """A recurrent layer in a loop over the readings. Of long recordings it takes every second one."""

    def __init__(self, gestures: int = 3, width: int = 16, long: int = 48) -> None:
        super().__init__()
        self.width, self.long = width, long
        self.step, self.head = nn.Linear(3 + width, width), nn.Linear(width, gestures)

    def forward(self, motion: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, gestures) of readings (N, time, 3)."""
        if motion.shape[1] > self.long:
            motion = motion[:, ::2]
        state = motion.new_zeros(motion.shape[0], self.width)
        for moment in range(motion.shape[1]):
            state = torch.tanh(self.step(torch.cat([motion[:, moment], state], dim=1)))
        return self.head(state)
