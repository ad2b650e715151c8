"""A network that knows colours, and is right only on pixels preprocessed as it was trained."""

import itertools

import numpy as np
import torch
from PIL import Image

from helpers.models.canonical_weights import write_weights
from slipway.classification.images import Preprocessing

SIDE = 16
NAMES = ["navy", "blue", "azure", "teal", "sea", "sky", "purple", "violet", "indigo", "slate", "lilac", "lavender"]
# The colours of the classes, of 0..1; the blue channel has three steps, which another scale moves by one.
COLOURS = np.array(list(itertools.product((0.2, 0.5), (0.2, 0.5), (0.55, 0.7, 0.85))))
CLASSES = len(COLOURS)


class Colours(torch.nn.Module):
    """The mean of each channel, and which colour is nearest to it."""

    def __init__(self, classes=CLASSES):
        super().__init__()
        self.classify = torch.nn.Linear(3, classes)

    def forward(self, images):
        return self.classify(images.mean((2, 3)))


def preprocessing(mean, std):
    """Return the preprocessing of a training."""
    return Preprocessing(SIDE, SIDE, tuple(mean), tuple(std))


def trained(mean, std, order=None, bgr=False):
    """Return the state dict of the network trained on such pixels, with the colours in some order as its classes."""
    colours = torch.tensor((COLOURS[order or slice(None)] - mean) / std, dtype=torch.float32)
    colours = colours.flip(1) if bgr else colours
    return {"classify.weight": 2 * colours, "classify.bias": -(colours**2).sum(1)}


def write_checkpoint(folder, state, names=NAMES):
    """Write the canonical checkpoint, its record and the labels, as the workflow does."""
    network = Colours()
    network.load_state_dict(state)
    write_weights(folder, network, f"{__name__}:Colours")
    (folder / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def write_photographs(folder, names=NAMES, each=6, seed=0):
    """Write photographs of every colour, one a little unlike the other, into a folder for each."""
    random = np.random.default_rng(seed)
    for name, colour in zip(names, COLOURS, strict=True):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            pixels = colour + random.normal(0, 0.02, (SIDE, SIDE, 3)) + random.normal(0, 0.02, 3)
            Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8)).save(folder / name / f"{index}.png")
    return folder
