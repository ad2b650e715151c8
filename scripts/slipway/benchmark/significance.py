"""Check whether a difference in accuracy is significant, and compute confidence intervals of accuracies."""

import math

import numpy as np

# Significance level: one false alarm in 100 comparisons without a real difference.
CHANCE = 0.01
# 99 % of a normal distribution lie within this many standard deviations of the mean.
_DEVIATIONS = 2.576


def chance_of_gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return the probability that `after` is correct so much more often than `before` by chance alone.

    Both are booleans (N,) for the same photographs: whether the answer was correct. This is McNemar's exact test,
    one-sided: only photographs on which the two differ count, and by chance each of them favours either side with
    probability 1/2.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    differing = gained + lost
    return sum(math.comb(differing, count) for count in range(gained, differing + 1)) / 2**differing


def interval(correct: np.ndarray) -> tuple[float, float]:
    """Return the 99 % confidence interval of an accuracy (Wilson's interval).

    `correct`: for each photograph (N,), N > 0, whether the answer was correct.
    """
    count, share, squared = len(correct), float(correct.mean()), _DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)
