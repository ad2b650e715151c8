"""Train the network for some seconds, and save its checkpoint."""

from pathlib import Path

import torch

from docs.examples.audio.data import recordings
from docs.examples.audio.network import FRAME, voice_activity

CHECKPOINT = Path("checkpoints/audio.pth")
EPOCHS = 4


def main() -> None:
    """Train on one recording after the other, since their lengths differ."""
    torch.manual_seed(0)
    network = voice_activity().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for waveform, start, end in recordings():
            middle = torch.arange(len(waveform) // FRAME + 1) * FRAME
            voiced = (middle >= start) & (middle < end)
            answer = network(torch.from_numpy(waveform)[None])[0]
            loss = torch.nn.functional.binary_cross_entropy(answer, voiced.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
