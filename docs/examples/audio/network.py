"""Find the voice in a recording: a probability for each frame of 20 ms."""

import torch
from torch import nn

# At 8000 samples a second.
FRAME = 160


class VoiceActivity(nn.Module):
    """One-dimensional convolutions, the first of which makes frames of samples."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, 2 * FRAME, stride=FRAME, padding=FRAME),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(width, 1, 1),
        )

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Return probabilities (N, time // FRAME + 1) for waveforms (N, time) between -1 and 1."""
        return self.layers(waveform[:, None]).squeeze(1).sigmoid()


def voice_activity(width: int = 32) -> VoiceActivity:
    """Return the network without trained weights."""
    return VoiceActivity(width)
