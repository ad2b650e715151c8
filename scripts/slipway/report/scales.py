"""Scales of charts: from values to coordinates in a drawing, with ticks at round numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.core.readable import readable

# A step between ticks is one of these numbers times a power of ten.
STEPS = (1, 2, 5, 10)
# If the highest value / the lowest value exceeds this factor, the scale is logarithmic.
WIDE = 50


@dataclass(frozen=True)
class Scale:
    """A scale of a chart from the values `low`..`high` to the coordinates `start`..`end` in the drawing.

    With `logarithmic`, the values must be positive. With `names`, the values are indices of the names.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    names: Sequence[str] = ()

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        transform: Callable[[float], float] = math.log10 if self.logarithmic else float
        low, high = transform(self.low), transform(self.high)
        return self.start + (transform(value) - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Return the values of the ticks: the indices of the names, or round numbers inside the scale."""
        if self.names:
            return [float(index) for index in range(len(self.names))]
        return log_ticks(self.low, self.high) if self.logarithmic else linear_ticks(self.low, self.high)

    def words(self, tick: float) -> str:
        """Return the text of a tick: its name, or its number, such as "2,500"."""
        return self.names[round(tick)] if self.names else readable(tick, 3)


def named(names: Sequence[str], start: float, end: float) -> Scale:
    """Return a scale on which the names have equal distances, between the coordinates `start` and `end`."""
    return Scale(-0.5, len(names) - 0.5, start, end, names=names)


def from_zero(highest: float, start: float, end: float) -> Scale:
    """Return a linear scale from 0 to a round number that is not below `highest`."""
    step = step_of(highest or 1.0)
    return Scale(0, math.ceil(round((highest or 1.0) / step, 9)) * step, start, end)


def fitted(lowest: float, highest: float, start: float, end: float) -> Scale:
    """Return a scale for the values `lowest`..`highest`: linear from zero or, for very different values, logarithmic.

    It is logarithmic if the values are positive, and `highest` / `lowest` is more than WIDE.
    """
    if lowest <= 0 or highest / lowest <= WIDE:
        return from_zero(highest, start, end)
    return Scale(lowest / 1.3, highest * 1.3, start, end, logarithmic=True)


def close_up(lowest: float, highest: float, start: float, end: float) -> Scale:
    """Return a linear scale that fits the percentages `lowest`..`highest` closely: small changes are visible."""
    step = step_of(max(highest - lowest, 1.0) * 1.5)
    low = math.floor(lowest / step - 0.5) * step
    return Scale(max(0.0, low), math.ceil(highest / step + 0.5) * step, start, end)


def step_of(span: float, most: int = 5) -> float:
    """Return the smallest round step between ticks that fits into `span` at most `most` times."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step * power for step in STEPS if span / (step * power) <= most + 1e-9)


def linear_ticks(low: float, high: float) -> list[float]:
    """Return the multiples of a round step from `low` to `high`."""
    step = step_of(high - low)
    first = math.ceil(round(low / step, 9))
    return [number * step for number in range(first, math.floor(round(high / step, 9)) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`, as ticks of a logarithmic scale.

    If there are fewer than four, also return 2 and 5 times each power.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    tens = [value for value in every if math.log10(value).is_integer()]
    return tens if len(tens) >= 4 else every
