"""Scales of charts: from values to positions in a drawing, with ticks that people read easily."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.core.readable import readable

# Steps between ticks, times a power of ten.
STEPS = (1, 2, 5, 10)
# Values that spread over more than this factor get a logarithmic scale.
WIDE = 50


@dataclass(frozen=True)
class Scale:
    """A scale from `low`..`high` to the places `start`..`end`; `logarithmic` needs positive values.

    With `names`, the values are indices of them.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    names: Sequence[str] = ()

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        transform: Callable[[float], float] = math.log10 if self.logarithmic else float
        low, high = transform(self.low), transform(self.high)
        return self.start + (transform(value) - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Return the values of the ticks: the names, or round numbers inside the scale."""
        if self.names:
            return [float(index) for index in range(len(self.names))]
        return log_ticks(self.low, self.high) if self.logarithmic else linear_ticks(self.low, self.high)

    def words(self, tick: float) -> str:
        """Return a tick as text, such as "2,500"."""
        return self.names[round(tick)] if self.names else readable(tick, 3)


def named(names: Sequence[str], start: float, end: float) -> Scale:
    """Return a scale with the names at equal distances."""
    return Scale(-0.5, len(names) - 0.5, start, end, names=names)


def from_zero(highest: float, start: float, end: float) -> Scale:
    """Return a linear scale from 0 to a round number that is at least `highest`."""
    step = step_of(highest or 1.0)
    return Scale(0, math.ceil(round((highest or 1.0) / step, 9)) * step, start, end)


def fitted(lowest: float, highest: float, start: float, end: float) -> Scale:
    """Return a scale with room around positive values: linear from zero, or logarithmic if they spread widely."""
    if lowest <= 0 or highest / lowest <= WIDE:
        return from_zero(highest, start, end)
    return Scale(lowest / 1.3, highest * 1.3, start, end, logarithmic=True)


def close_up(lowest: float, highest: float, start: float, end: float) -> Scale:
    """Return a linear scale around percentages, which does not begin at zero: small changes matter."""
    step = step_of(max(highest - lowest, 1.0) * 1.5)
    low = math.floor(lowest / step - 0.5) * step
    return Scale(max(0.0, low), math.ceil(highest / step + 0.5) * step, start, end)


def step_of(span: float, most: int = 5) -> float:
    """Return the smallest round step with at most `most` steps in a span."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step * power for step in STEPS if span / (step * power) <= most + 1e-9)


def linear_ticks(low: float, high: float) -> list[float]:
    """Return round values from `low` to `high`."""
    step = step_of(high - low)
    first = math.ceil(round(low / step, 9))
    return [number * step for number in range(first, math.floor(round(high / step, 9)) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`, with their 2- and 5-fold if there are fewer than four."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    tens = [value for value in every if math.log10(value).is_integer()]
    return tens if len(tens) >= 4 else every
