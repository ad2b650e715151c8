"""The interval of a share of photographs, such as an accuracy."""

import math

import numpy as np

# 99 % of a normal distribution lie within this many standard deviations of the mean.
_DEVIATIONS = 2.576


def interval(correct: np.ndarray) -> tuple[float, float]:
    """Return the 99 % confidence interval of an accuracy (Wilson's interval).

    `correct`: for each photograph (N,), N > 0, whether the answer was correct.
    """
    count, share, squared = len(correct), float(correct.mean()), _DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)
