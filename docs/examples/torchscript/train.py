"""Train the network for some seconds, script it, and save the archive."""

from pathlib import Path

import numpy as np
import torch

from docs.examples.torchscript.data import LENGTHS, recordings
from docs.examples.torchscript.network import Gestures

ARCHIVE = Path("checkpoints/torchscript.pt")
STEPS = 40


def main() -> None:
    """Train on the recordings of each length at once."""
    torch.manual_seed(0)
    alike = [[entry for entry in recordings() if len(entry[0]) == length] for length in LENGTHS]
    batches = [[torch.from_numpy(np.stack(column)) for column in zip(*some, strict=True)] for some in alike]
    network = Gestures().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = sum(torch.nn.functional.cross_entropy(network(motions), gestures) for motions, gestures in batches)
        loss.backward()
        optimizer.step()
    ARCHIVE.parent.mkdir(exist_ok=True)
    torch.jit.script(network.eval()).save(ARCHIVE)
    print(f"{ARCHIVE}: loss {loss.item() / len(batches):.3f}")


if __name__ == "__main__":
    main()
