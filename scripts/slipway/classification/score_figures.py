"""Figures of class scores: the agreement of decisions, and the accuracy on samples of known class."""

from collections.abc import Iterable

import numpy as np

from slipway.outputs.meaning import Meaning


def agreement_of_decisions(meaning: Meaning, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return {"top1_agreement": share of equal decisions, 0..1} of two subjects, such as PyTorch and an engine.

    `pairs` has (scores (N, classes) of one, scores (N, classes) of the other). For sigmoid outputs, the key is
    "decision_agreement", and each class of each row is one decision.
    """
    name = "decision_agreement" if meaning.kind == "sigmoid" else "top1_agreement"
    equal = [(meaning.decisions(one) == meaning.decisions(other)).ravel() for one, other in pairs]
    return {name: float(np.concatenate(equal).mean())}


def accuracy(scores: np.ndarray, classes: np.ndarray) -> dict:
    """Return {"top1", "top5"}, the accuracies (0..1) of scores (N, classes) against the true class indices (N,)."""
    best = np.argsort(-scores, axis=1)[:, :5]
    hits = best == classes[:, None]
    return {"top1": float(hits[:, 0].mean()), "top5": float(hits.any(axis=1).mean())}
