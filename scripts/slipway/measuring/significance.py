"""Whether a difference in accuracy is more than chance, and how exactly an accuracy is known."""

import math

import numpy as np

# Of 100 comparisons where there is no difference, one is called a difference.
CHANCE = 0.01
# Standard deviations of a normal distribution around its mean that 99 % lie within.
_DEVIATIONS = 2.576


def chance_of_gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return how probable it is by chance that `after` is right so much oftener than `before`.

    Both say of the same photographs (N,) whether the answer was right. This is McNemar's exact test, one-sided: only
    photographs on which they differ count, and by chance each of these favours either with probability one half.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    differing = gained + lost
    return sum(math.comb(differing, count) for count in range(gained, differing + 1)) / 2**differing


def interval(right: np.ndarray) -> tuple[float, float]:
    """Return the share of right answers within which the true accuracy lies with 99 % confidence (Wilson's interval).

    `right` says of each photograph (N,), N > 0, whether the answer was right.
    """
    count, share, squared = len(right), float(right.mean()), _DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)
