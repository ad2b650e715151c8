"""Check whether a difference in accuracy is more than chance, and how exactly an accuracy is known."""

import math

import numpy as np

# Significance level: of 100 comparisons without a real difference, one is called a difference.
CHANCE = 0.01
# 99 % of a normal distribution lie within so many standard deviations of its mean.
_DEVIATIONS = 2.576


def chance_of_gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return the probability that `after` is by chance so much more often right than `before`.

    Both say for the same photographs (N,) whether the answer was right. This is McNemar's exact test, one-sided: only
    photographs on which the two differ count, and by chance each of them favours either side with probability 1/2.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    differing = gained + lost
    return sum(math.comb(differing, count) for count in range(gained, differing + 1)) / 2**differing


def interval(right: np.ndarray) -> tuple[float, float]:
    """Return the interval in which the true accuracy lies with 99 % confidence (Wilson's interval).

    `right` says for each photograph (N,), N > 0, whether the answer was right.
    """
    count, share, squared = len(right), float(right.mean()), _DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)
