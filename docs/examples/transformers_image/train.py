"""Train a small ConvNeXt of transformers for some seconds, and save it with its image processor."""

from pathlib import Path

import torch
from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextImageProcessor

from docs.examples.timm.pictures import coloured_pictures

FOLDER = Path("checkpoints/transformers_image")
SIDE, STEPS, BATCH = 64, 30, 12
CONFIG = ConvNextConfig(
    hidden_sizes=[8, 16, 32, 64],
    depths=[1, 1, 1, 1],
    image_size=SIDE,
    id2label={0: "reddish", 1: "greenish", 2: "bluish"},
    label2id={"reddish": 0, "greenish": 1, "bluish": 2},
)


def main() -> None:
    """Train, and save as transformers does: config.json, model.safetensors, preprocessor_config.json."""
    torch.manual_seed(0)
    processor = ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875)
    network = ConvNextForImageClassification(CONFIG).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(STEPS):
        pictures, colours = coloured_pictures(BATCH, SIDE, processor.image_mean, processor.image_std)
        loss = network(pixel_values=pictures, labels=colours).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.save_pretrained(FOLDER)
    processor.save_pretrained(FOLDER)
    print(f"{FOLDER}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
