"""Judge whether the two views of a place find each other."""

import numpy as np


def retrieval(outputs: list[dict[str, np.ndarray]], samples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Return the mean cosine of the two views of a place, and the share of views whose nearest is the other view.

    Samples 2n and 2n + 1 are views of one place (data.py).
    """
    vectors = np.concatenate([output["embedding"] for output in outputs])
    cosines = vectors @ vectors.T
    numbers = np.arange(len(vectors))
    partner = numbers ^ 1
    np.fill_diagonal(cosines, -1)
    return {
        "cosine": float(cosines[numbers, partner].mean()),
        "found": float((cosines.argmax(axis=1) == partner).mean()),
    }
