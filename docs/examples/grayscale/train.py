"""Train the network for some seconds, and save its checkpoint."""

from pathlib import Path

import numpy as np
import torch

from docs.examples.grayscale.data import digits
from docs.examples.grayscale.network import lenet

CHECKPOINT = Path("checkpoints/grayscale.pth")
STEPS = 40
# The same as `normalisation` in config.yaml.
MEAN, STD = 0.1, 0.3


def main() -> None:
    """Train on all digits at once."""
    torch.manual_seed(0)
    pixels, numbers = (torch.from_numpy(np.stack(column)) for column in zip(*digits(), strict=True))
    pictures = (pixels[:, None] / 255 - MEAN) / STD
    network = lenet().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(network(pictures), numbers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
