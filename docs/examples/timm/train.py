"""Train a small network of timm for some seconds, and save it as timm's own training does."""

import argparse
from pathlib import Path

import timm
import torch
from timm.data import resolve_model_data_config
from timm.utils import CheckpointSaver, ModelEmaV3

from docs.examples.timm.pictures import coloured_pictures

FOLDER = Path("checkpoints/timm")
STEPS, BATCH = 12, 12


def main() -> None:
    """Train with timm's moving average of the weights, and save both."""
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=3).train()
    data = resolve_model_data_config(network)
    average = ModelEmaV3(network, decay=0.6)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(STEPS):
        pictures, colours = coloured_pictures(BATCH, data["input_size"][-1], data["mean"], data["std"])
        loss = torch.nn.functional.cross_entropy(network(pictures), colours)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(network)
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = argparse.Namespace(model="test_vit", num_classes=3)
    saver = CheckpointSaver(network, optimizer, options, average, checkpoint_dir=FOLDER, recovery_dir=FOLDER)
    saver.save_checkpoint(epoch=0)
    print(f"{FOLDER}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
