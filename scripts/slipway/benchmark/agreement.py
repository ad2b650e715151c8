"""Compare an engine's outputs with PyTorch's."""

import operator

import numpy as np

from slipway.outputs.meaning import LOGITS, Meaning


def compare(reference: np.ndarray, logits: np.ndarray, meaning: Meaning | None = LOGITS) -> dict:
    """Compare outputs (N, values) with PyTorch's, by the figures that suit their meaning (None: not known yet).

    `relative_error`: the Frobenius norm of the difference / the norm of the reference. `max_abs_error`: the largest
    difference of one value. `min_cosine`: the smallest cosine similarity of a sample's two vectors; not for tensors.
    `top1_agreement`: the share of samples with the same best class. `decision_agreement`: the share of equal decisions,
    if each class is a yes or no of its own. Raises ValueError for different shapes.
    """
    if reference.shape != logits.shape:
        raise ValueError(f"the engine answers with shape {logits.shape}, PyTorch with {reference.shape}")
    finite = bool(np.isfinite(logits).all())
    figures = {"images": len(reference), "finite": finite}
    if meaning is None or meaning.has_classes:
        figures |= _cosines(reference, logits, finite)
    figures |= _errors(reference, logits, finite)
    if meaning and meaning.has_classes:
        name = "decision_agreement" if meaning.kind == "sigmoid" else "top1_agreement"
        figures[name] = float((meaning.decisions(reference) == meaning.decisions(logits)).mean())
    return figures


def _cosines(reference: np.ndarray, logits: np.ndarray, finite: bool) -> dict[str, float]:
    if not finite:
        return {"min_cosine": -1.0, "mean_cosine": -1.0}
    reference, logits = reference.astype(np.float64), logits.astype(np.float64)
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(logits, axis=1)
    cosines = (reference * logits).sum(axis=1) / np.where(norms == 0, 1, norms)
    return {"min_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}


def _errors(reference: np.ndarray, logits: np.ndarray, finite: bool) -> dict[str, float]:
    if not finite:
        return {"max_abs_error": float("inf"), "relative_error": float("inf")}
    difference = reference.astype(np.float64) - logits.astype(np.float64)
    error, size = np.linalg.norm(difference), np.linalg.norm(reference.astype(np.float64))
    relative = error / size if size else (0.0 if error == 0 else float("inf"))
    return {"max_abs_error": float(np.abs(difference).max()), "relative_error": float(relative)}


def accuracy(logits: np.ndarray, classes: np.ndarray) -> dict:
    """Return top-1 and top-5 accuracy of scores (N, classes) against the true class indices (N,)."""
    best = np.argsort(-logits, axis=1)[:, :5]
    hits = best == classes[:, None]
    return {"top1": float(hits[:, 0].mean()), "top5": float(hits.any(axis=1).mean())}


def violations(figures: dict, limits: dict[str, float]) -> list[str]:
    """Return in words the limits that the figures of `compare` violate. A limit without its figure does not count."""
    checks = [
        ("min_cosine", "min_cosine", operator.ge, "below"),
        ("relative_error", "max_relative_error", operator.le, "above"),
        ("top1_agreement", "min_top1_agreement", operator.ge, "below"),
        ("decision_agreement", "min_top1_agreement", operator.ge, "below"),
    ]
    return [
        f"{name} {figures[name]:.9g} is {word} the limit {limits[limit]:g}"
        for name, limit, holds, word in checks
        # NaN is within no limit.
        if (name in figures or name == "relative_error") and not holds(figures[name], limits[limit])
    ]
