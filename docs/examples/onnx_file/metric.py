"""How often the most probable digit is the right one."""

import numpy as np


def accuracy(outputs: list[dict[str, np.ndarray]], samples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Return {"accuracy": share of the samples whose digit is the most probable one}."""
    right = [
        answer["probabilities"].argmax() == sample["digit"][0] for answer, sample in zip(outputs, samples, strict=True)
    ]
    return {"accuracy": float(np.mean(right))}
