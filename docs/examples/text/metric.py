"""How many letters get their topic."""

import numpy as np


def accuracy(outputs: list[dict[str, np.ndarray]], samples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Return the share of letters whose best score is that of their true topic, a target in config.yaml."""
    chosen = np.concatenate([output["topic"].argmax(axis=1) for output in outputs])
    true = np.concatenate([sample["true_topic"] for sample in samples])
    return {"accuracy": float(np.mean(chosen == true))}
