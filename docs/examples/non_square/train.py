"""Train the network for some seconds, and save its checkpoint."""

from pathlib import Path

import numpy as np
import torch

from docs.examples.non_square.data import slope_of, strips
from docs.examples.non_square.network import terrain

CHECKPOINT = Path("checkpoints/non_square.pth")
STEPS = 50


def main() -> None:
    """Train on all strips at once."""
    torch.manual_seed(0)
    heights = np.stack(list(strips()))
    slopes, heights = torch.tensor([slope_of(strip) for strip in heights]), torch.from_numpy(heights)[:, None]
    network = terrain().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(STEPS):
        loss = torch.nn.functional.mse_loss(network(heights), slopes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
