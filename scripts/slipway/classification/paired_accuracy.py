"""Accuracies on photographs: their intervals, and whether the difference of two accuracies is noise."""

import math

import numpy as np

# A difference that chance alone makes with at least this probability is noise.
CHANCE = 0.05
# 99 % of a normal distribution lie within this many standard deviations of the mean.
_DEVIATIONS = 2.576
WITHIN, MORE, OPEN = "within the noise", "more than the noise", "perhaps more than the noise"


def interval(share: float, count: int) -> tuple[float, float]:
    """Return (low, high), the 99 % interval of a share of `count` photographs (Wilson 1927), from 0 to 1."""
    squared = _DEVIATIONS**2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(figures: dict) -> tuple[int, str]:
    """Return (difference, verdict) of the engine's and PyTorch's accuracy on the same photographs.

    The difference is a number of photographs, negative if the engine gets fewer right. The verdict is WITHIN (the
    noise), MORE (than the noise) or OPEN (perhaps more). `figures` is "evaluation" of the engine's accuracy record,
    with "labelled", "engine" and "pytorch" (each {"top1", ...}); "top1_agreement" and "samples" may be missing.

    This is the two-sided sign test on the photographs that only the engine or only PyTorch gets right (McNemar 1947,
    exact). The records have only bounds of their number: at least the difference, at most the photographs with
    different top-1 classes. The verdict is OPEN if the bounds give different verdicts.
    """
    count = figures["labelled"]
    gained = round(figures["engine"]["top1"] * count) - round(figures["pytorch"]["top1"] * count)
    apart = abs(gained)
    most = max(apart, round((1 - figures.get("top1_agreement", 0.0)) * figures.get("samples", count)))
    if chance(apart, apart) >= CHANCE:
        return gained, WITHIN
    # With a difference of 6, the number of photographs that only one of the two gets right is 6, 8 or 10, never 9.
    most -= (most - apart) % 2
    return gained, MORE if chance(apart, most) < CHANCE else OPEN


def chance(apart: int, differing: int) -> float:
    """Return the probability that chance alone makes `differing` photographs favour one side by `apart` or more."""
    return min(1.0, 2 * _tail((differing + apart + 1) // 2, differing)) if apart else 1.0


def chance_of_gain(before: np.ndarray, after: np.ndarray) -> float:
    """Return the probability that `after` is correct so much more often than `before` by chance alone.

    `before` and `after` are booleans (N,) for the same photographs: whether the answer is correct. This is McNemar's
    exact one-sided test: only photographs with different correctness count.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return _tail(gained, gained + lost)


def _tail(least: int, differing: int) -> float:
    """Return the probability that `least` or more of `differing` photographs favour one side by chance.

    Each photograph favours this side with probability 1/2.
    """
    return sum(math.comb(differing, count) for count in range(least, differing + 1)) / 2**differing


def in_words(figures: dict) -> str:
    """Return the result of `difference` in words, such as "1 of 250 photographs fewer, within the noise".

    `figures` is the argument of `difference`.
    """
    gained, noise = difference(figures)
    change = f"{abs(gained)} of {{}} photographs {'more' if gained > 0 else 'fewer'}, {noise}"
    return (change if gained else "the same number of {} photographs").format(figures["labelled"])
