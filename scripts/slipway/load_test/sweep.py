"""The sweep of a load test: its parameters, its points, and the limit of its time."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.load_test.analyzed_points import LEAST_S, ROUNDS_IN_A_WINDOW

# Model Analyzer's own limit (s) of one run of perf_analyzer.
LONGEST_S = 600
# The keys of a row that identify its point of the sweep.
POINT = ("model", "instances", "max_batch_size", "queue_delay_us", "concurrency")
# The searches of Model Analyzer. `brute` measures all points. `quick` climbs from the smallest values to the best
# throughput; `optuna` takes points that are likely better. Both measure config.pbtxt first.
BRUTE, QUICK, OPTUNA = ("brute", "quick", "optuna")
# `quick` then measures this many of the best configurations with fewer and more requests in flight.
BEST_OF_QUICK = 3
# The share of all points that a search probably measures. It decides how much time each point gets.
MEASURED_BY_SEARCH = 1 / 3


@dataclass(frozen=True)
class Sweep:
    """The parameters that the load test varies. A point is one combination with a number of requests in flight.

    Each point is measured until three windows of requests agree within `stability_percent`. `concurrency`: the numbers
    of requests in flight. `requests`: the least number of requests in a window. `minutes`: the limit for all points
    together; without it, only perf_analyzer and Model Analyzer limit the time of a point. `batching_delays_us`: how
    long (µs) a request may wait for other requests to form a batch. `search`: BRUTE for all points, or QUICK or OPTUNA,
    for which Model Analyzer chooses points.
    """

    concurrency: list[int]
    instances: list[int]
    max_batch_sizes: list[int]
    requests: int
    stability_percent: float
    minutes: float | None = None
    batching_delays_us: list[int] = field(default_factory=lambda: [0])
    search: str = BRUTE

    @property
    def window(self) -> int:
        """Return the number of requests in a measurement window at the largest number in flight."""
        return max(self.requests, ROUNDS_IN_A_WINDOW * max(self.concurrency))

    @property
    def most_in_flight(self) -> int:
        """Return the highest number of requests in flight, measured for each configuration; 0 for a search."""
        return max(self.concurrency) if self.search == BRUTE else 0

    @property
    def grid(self) -> dict[str, list[int]]:
        """Return {"instances", "max_batch_sizes", "batching_delays_us"} for Model Analyzer to sweep; {} without values.

        Model Analyzer also measures config.pbtxt itself, which has the first value of each list. If only one list has
        several values, its first value is left out here. If several lists have several values, all values are swept,
        and keyed_model_analyzer measures the combination of the first values only once.
        """
        grid = {name: getattr(self, name) for name in ("instances", "max_batch_sizes", "batching_delays_us")}
        if self.search == OPTUNA:
            return grid
        varied = [name for name, values in grid.items() if len(values) > 1]
        if len(varied) == 1:
            grid[varied[0]] = grid[varied[0]][1:]
        return grid if varied else {}

    @property
    def variants(self) -> int:
        """Return the number of configurations that Model Analyzer measures for each model."""
        return 1 + math.prod(map(len, self.grid.values())) if self.grid else 1

    def points(self, models: Sequence[str]) -> list[dict[str, Any]]:
        """Return the points to measure as dictionaries with the keys POINT, without repetition.

        `models` are the names of the Triton models. Points with fewer requests in flight than instances are left out
        (see `analyzed_points.unless_idle`).
        """
        configurations = self.instances, self.max_batch_sizes, self.batching_delays_us
        swept: Iterable[tuple[Any, ...]] = itertools.product(models, *configurations, self.concurrency)
        named = [dict(zip(POINT, point, strict=True)) for point in swept]
        return [point for point in named if point["concurrency"] >= min(self.most_in_flight, point["instances"])]

    def unmeasured(self, models: Sequence[str], rows: Sequence[dict]) -> list[dict[str, Any]]:
        """Return the points of the sweep that were not measured; [] for a search, which chooses its points itself.

        `rows` are the measurements, `models` the names of the Triton models.
        """
        measured = [{name: row[name] for name in POINT} for row in rows]
        return [point for point in self.points(models) if point not in measured] if self.search == BRUTE else []

    def expected_points(self, models: Sequence[str]) -> int:
        """Return the number of points that share the time. If Model Analyzer searches, the number is an estimate."""
        return math.ceil(len(self.points(models)) * (1 if self.search == BRUTE else MEASURED_BY_SEARCH))

    def seconds(self, models: Sequence[str]) -> float:
        """Return the time (s) for all points of `models` together: `minutes` or, without it, a time that suffices."""
        return self.expected_points(models) * 2 * LONGEST_S if self.minutes is None else 60 * self.minutes

    def too_short_in_words(self, models: Sequence[str]) -> str | None:
        """Return a sentence if `minutes` may be too short for all points of `models`, even on a fast server.

        Return None otherwise.
        """
        count, seconds = self.expected_points(models), self.seconds(models)
        if seconds >= count * LEAST_S:
            return None
        return (
            f"`load_test.minutes: {self.minutes:g}` is {seconds / count:.2g} s for each of {count} points; "
            f"perf_analyzer takes up to {LEAST_S:g} s to start and to measure three windows, and points that no time "
            f"is left for are not measured; set `load_test.minutes: {math.ceil(count * LEAST_S / 6) / 10:g}`, or fewer "
            "values in `load_test.concurrency`, `instances` or `max_batch_sizes`"
        )
