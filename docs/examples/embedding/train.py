"""Train the embedding for some seconds, and save its checkpoint."""

from pathlib import Path

import numpy as np
import torch

from docs.examples.embedding.data import pairs
from docs.examples.embedding.network import embedding

CHECKPOINT = Path("checkpoints/embedding.pth")
STEPS, TEMPERATURE = 20, 0.1
# The same as `normalisation` in config.yaml.
MEAN, STD = 0.45, 0.22


def main() -> None:
    """Train each view to be nearer to the other view of its place than to all other places."""
    torch.manual_seed(0)
    first, second = ((torch.from_numpy(np.stack(views)) / 255 - MEAN) / STD for views in zip(*pairs(), strict=True))
    network = embedding().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(STEPS):
        cosines = network(first) @ network(second).T
        loss = torch.nn.functional.cross_entropy(cosines / TEMPERATURE, torch.arange(len(first)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
