"""Two accuracies on the same photographs: their difference, and whether it is more than the noise."""

import math

import numpy as np

from slipway.classification.proportions import interval

# A difference that chance alone makes with at least this probability is noise.
CHANCE = 0.05
WITHIN, MORE, OPEN = "within the noise", "more than the noise", "perhaps more than the noise"


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 99 % interval (Wilson's) of a share of `count` photographs."""
    hits = round(share * count)
    return interval(np.arange(count) < hits)


def difference(figures: dict) -> tuple[int, str]:
    """Return (photographs that the engine gets right more, or fewer if negative; whether that is noise).

    This is the two-sided sign test on the photographs that one of them gets right alone (McNemar 1947, exact). The
    records do not have their number, but its bounds: at least the difference, at most the photographs that the two
    decide differently. So the word is "perhaps" if it depends on that.
    """
    count = figures["labelled"]
    gained = round(figures["engine"]["top1"] * count) - round(figures["pytorch"]["top1"] * count)
    apart = abs(gained)
    most = max(apart, round((1 - figures.get("top1_agreement", 0.0)) * figures.get("samples", count)))
    if chance(apart, apart) >= CHANCE:
        return gained, WITHIN
    # With a difference of 6, one of them alone gets 6, 8, or 10 photographs right, never 9.
    most -= (most - apart) % 2
    return gained, MORE if chance(apart, most) < CHANCE else OPEN


def chance(apart: int, differing: int) -> float:
    """Return the probability that chance alone makes `differing` photographs favour one side by at least `apart`."""
    if not apart:
        return 1.0
    least = (differing + apart + 1) // 2
    return min(1.0, 2 * sum(math.comb(differing, k) for k in range(least, differing + 1)) / 2**differing)


def in_words(figures: dict) -> str:
    """Return the difference in words, such as "1 of 250 photographs fewer, within the noise"."""
    gained, noise = difference(figures)
    of = f"of {figures['labelled']} photographs"
    if not gained:
        return f"the same number {of}"
    return f"{abs(gained)} {of} {'more' if gained > 0 else 'fewer'}, {noise}"
