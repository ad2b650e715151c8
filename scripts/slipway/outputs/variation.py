"""Check that a model's answers depend on its input. Equal answers to every input prove nothing."""

import numpy as np

from slipway.core.errors import SlipwayError

# Smaller differences, relative to the size of the answers, can come from rounding alone.
ROUNDING = 1e-5


def variation(outputs: np.ndarray) -> float:
    """Return the distance of outputs (N, values) from their mean, relative to their size; 0 if all are equal."""
    values = outputs.astype(np.float64)
    size = np.linalg.norm(values)
    return float(np.linalg.norm(values - values.mean(axis=0)) / size) if size else 0.0


def error_of_variation(reference: np.ndarray, outputs: np.ndarray) -> float:
    """Return the error of the variation of outputs (N, values), relative to the reference's variation.

    0: they vary exactly as the reference does. 1: as wrong as equal answers to every input.
    """
    reference, outputs = (values.astype(np.float64) for values in (reference, outputs))
    expected, actual = (values - values.mean(axis=0) for values in (reference, outputs))
    size = np.linalg.norm(expected)
    return float(np.linalg.norm(actual - expected) / size) if size else 0.0


def require_variation(outputs: np.ndarray, measured: float) -> None:
    """Raise SlipwayError if outputs (N, values) to very different inputs are equal. `measured` is their variation."""
    if not outputs.any():
        raise SlipwayError(
            "the model answers with zeros, whatever it is shown: its last layer starts at zero and was never trained "
            "(a Vision Transformer's does), so nothing can be proven of it; give trained weights as `weights` in "
            "config.yaml"
        )

    if measured < ROUNDING:
        raise SlipwayError(
            f"the model gives the same answer whatever it is shown (photographs, noise, black and white differ by "
            f"{measured:.0e} of their size), so nothing can be proven of it; look at the checkpoint and at "
            "`preprocess` in config.yaml"
        )


def weakness(varies: float | None, limits: dict[str, float]) -> str | None:
    """Return a sentence if the reference outputs prove little under these limits; None if they prove something."""
    limit = limits.get("max_relative_error")
    if varies is None or limit is None or varies > limit:
        return None
    return (
        f"PyTorch's answers to the sample photograph and its variations differ by {varies:.1e} of their size, not more "
        f"than the limit of {limit:g} (max_relative_error), so a model with one answer for everything would pass, too; "
        "name another `image` in config.yaml, whose variations the model answers more differently"
    )
