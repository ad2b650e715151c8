"""How many letters get their topic."""

import numpy as np

from docs.examples.text.data import letters, token_numbers


def accuracy(outputs: list[dict[str, np.ndarray]], samples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Return the share of letters whose best score is that of their topic, which data.py knows by their tokens."""
    topics = {tuple(token_numbers(text)): topic for text, topic in letters()}
    right = [
        output["topic"][0].argmax() == topics[tuple(sample["input_ids"][0])]
        for output, sample in zip(outputs, samples, strict=True)
    ]
    return {"accuracy": float(np.mean(right))}
