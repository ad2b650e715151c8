"""How far an engine's logits are from PyTorch's."""

import numpy as np


def compare(reference: np.ndarray, logits: np.ndarray) -> dict:
    """Compare logits (N, classes) with PyTorch's: cosine, errors, top-1 agreement.

    `min_cosine` is the smallest cosine similarity of an image's two logit vectors; `relative_error` is the Frobenius
    norm of the difference over that of the reference; `max_abs_error` the largest difference of one logit.
    """
    if reference.shape != logits.shape:
        raise ValueError(f"the engine answers with shape {logits.shape}, PyTorch with {reference.shape}")
    reference, logits = reference.astype(np.float64), logits.astype(np.float64)
    finite = bool(np.isfinite(logits).all())
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(logits, axis=1)
    cosines = (reference * logits).sum(axis=1) / np.where(norms == 0, 1, norms)
    return {
        "images": len(reference),
        "finite": finite,
        "min_cosine": float(cosines.min()) if finite else -1.0,
        "mean_cosine": float(cosines.mean()) if finite else -1.0,
        "max_abs_error": float(np.abs(reference - logits).max()) if finite else float("inf"),
        "relative_error": (
            float(np.linalg.norm(reference - logits) / np.linalg.norm(reference)) if finite else float("inf")
        ),
        "top1_agreement": float((reference.argmax(axis=1) == logits.argmax(axis=1)).mean()),
    }


def accuracy(logits: np.ndarray, classes: np.ndarray) -> dict:
    """Return top-1 and top-5 accuracy of logits (N, classes) against the true class indices (N,)."""
    best = np.argsort(-logits, axis=1)[:, :5]
    hits = best == classes[:, None]
    return {"top1": float(hits[:, 0].mean()), "top5": float(hits.any(axis=1).mean())}


def top_classes(logits: np.ndarray, labels: list[str], count: int = 5) -> list[dict]:
    """Return the most likely classes of one image's logits (classes,): index, label, softmax confidence of 0..1."""
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    confidence = shifted / shifted.sum()
    return [
        {"index": int(index), "label": labels[index], "confidence": round(float(confidence[index]), 6)}
        for index in np.argsort(-confidence)[:count]
    ]


def violations(found: dict, limits: dict[str, float]) -> list[str]:
    """Return in words which of the limits the figures of `compare` break."""
    checks = [
        ("min_cosine", found["min_cosine"] >= limits["min_cosine"], "is below"),
        ("relative_error", found["relative_error"] <= limits["max_relative_error"], "is above"),
        ("top1_agreement", found["top1_agreement"] >= limits["min_top1_agreement"], "is below"),
    ]
    bounds = {
        "min_cosine": "min_cosine",
        "relative_error": "max_relative_error",
        "top1_agreement": "min_top1_agreement",
    }
    return [
        f"{name} {found[name]:.9g} {words} the limit {limits[bounds[name]]:g}"
        for name, held, words in checks
        if not held
    ]
