"""How far the estimated slopes are from those that NumPy computes."""

import numpy as np

from docs.examples.non_square.data import slope_of


def slope_error(outputs: list[dict[str, np.ndarray]], samples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Return the mean absolute error of the mean slope, as a share of the mean slope."""
    slopes = np.array([slope_of(sample["heights"][0, 0])[0] for sample in samples])
    estimates = np.array([output["slope"][0, 0] for output in outputs])
    return {"slope_error": float(np.abs(estimates - slopes).mean() / slopes.mean())}
