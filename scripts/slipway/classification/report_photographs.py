"""The sample photographs of the report, with PyTorch's most likely classes (before) and the engine's (after)."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from slipway.classification.task import INPUT
from slipway.contract.contract import Contract
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.outputs.meaning import THRESHOLD
from slipway.outputs.presentation import record_of

# The names of the reference samples, in the order of `sample_photographs.photographs_of`.
NAMES = (
    *("as it is", "mirrored", "upper left part", "lower right part", "darker", "brighter", "without colour"),
    *("out of focus", "colours exchanged"),
)
SIDE, QUALITY = 160, 80


@dataclass(frozen=True)
class Shown:
    """A sample photograph for the report: its name, its picture as a data URI, and its most likely classes.

    `before` are PyTorch's classes, and `after` the engine's classes, as [(label, probability)].
    """

    name: str
    picture: str
    before: list[tuple[str, float]]
    after: list[tuple[str, float]]

    @property
    def is_same(self) -> bool:
        """Return whether PyTorch and the engine find the same class most likely.

        For a single class: whether PyTorch and the engine agree that the class is present or absent.
        """
        (before, share), (after, other) = self.before[0], self.after[0]
        return before == after and (len(self.before) > 1 or (share >= THRESHOLD) == (other >= THRESHOLD))

    def pairs(self, count: int) -> list[tuple[tuple[str, float], tuple[str, float]]]:
        """Return [(PyTorch's class, the engine's class)] for the `count` best classes, each as (label, probability)."""
        return list(zip(self.before, self.after, strict=False))[:count]


def shown(reference: ReferenceOutputs, accuracy: dict, labels: list[str], facts: dict) -> list[Shown]:
    """Return the sample photographs for the report; [] if the outputs are no class scores, or if answers are missing.

    `accuracy` is the engine's accuracy record, whose "answers" are the engine's answers to the samples. `labels` are
    the class names. `facts` are those of the contract: "preprocess" is the preprocessing of the photographs.
    """
    answers = accuracy["answers"]
    if len(answers) != len(reference.samples) or "preprocess" not in facts or INPUT not in reference.request.inputs:
        return []
    names = NAMES if len(answers) == len(NAMES) else [f"sample {number}" for number in range(1, len(answers) + 1)]
    samples = [
        Shown(
            name,
            picture_of(sample.inputs[INPUT][0], facts["preprocess"]),
            _top(record_of(sample.outputs, reference.contract, labels), reference.contract),
            _top(answer, reference.contract),
        )
        for name, sample, answer in zip(names, reference.samples, answers, strict=True)
    ]
    return samples if all(sample.before and sample.after for sample in samples) else []


def picture_of(pixels: np.ndarray, preprocess: dict) -> str:
    """Return an input of the model, pixels (3, height, width), as a small JPEG in a data URI.

    Floating-point pixels are (value / 255 - mean) / std, so they are first turned back into values from 0 to 255.
    `preprocess` has "mean" and "std", as in config.yaml.
    """
    if pixels.dtype != np.uint8:
        mean, std = (np.array(preprocess[name], dtype=np.float32)[:, None, None] for name in ("mean", "std"))
        pixels = np.clip((pixels * std + mean) * 255, 0, 255).round().astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _top(answer: dict, contract: Contract) -> list[tuple[str, float]]:
    return [(entry["label"], entry["confidence"]) for entry in answer[contract.outputs[0].name].get("top", [])]
