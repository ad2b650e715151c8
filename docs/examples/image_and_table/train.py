"""Train the estimator for some seconds, and save its checkpoint."""

from pathlib import Path

import numpy as np
import torch

from docs.examples.image_and_table.data import houses
from docs.examples.image_and_table.network import estimator

CHECKPOINT = Path("checkpoints/image_and_table.pth")
STEPS = 100
# The same as `normalisation` in config.yaml.
MEAN, STD = 0.5, 0.25


def main() -> None:
    """Train on all houses at once."""
    torch.manual_seed(0)
    pixels, rows, prices, conditions = (torch.from_numpy(np.stack(column)) for column in zip(*houses(), strict=True))
    photos = (pixels / 255 - MEAN) / STD
    network = estimator().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(STEPS):
        estimate = network(photos, rows)
        error = torch.nn.functional.mse_loss(estimate.price[:, 0] / 100, prices.float() / 100)
        loss = error + torch.nn.functional.nll_loss(estimate.condition.log(), conditions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
