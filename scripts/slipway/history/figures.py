"""The figures of a run that are compared with another run, such as latencies, throughputs and accuracies.

A run is one measurement of a model, a line of its history. Two runs can be compared in a figure only if its conditions,
such as the hardware, are equal in both runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.core.steadiness import DISTURBED
from slipway.history.lines import Run
from slipway.load_test.goals import CHEAPEST

# The names of the conditions of figures.
HARDWARE, DATA, IN_FLIGHT = "hardware", "evaluation data", "requests in flight"
# Properties of throughputs, and of shares.
THROUGHPUT: dict[str, Any] = {"unit": "/s", "limit": "throughput", "more_is_better": True}
SHARE: dict[str, Any] = {"is_share": True, "more_is_better": True}


@dataclass(frozen=True)
class Figure:
    """One figure of a run. `limit` is the key of `regression` in config.yaml that limits its change, or None.

    `is_share`: the figure is a share (0..1), so its change is a difference; the change of another figure is relative.
    `spreads`: repeated measurements differ, so only a change above the noise counts. `low` and `high` are its interval;
    None if unknown. `disturbed`: its measurement was disturbed. `conditions` are {condition: value}, such as
    {"hardware": ...}; they must be equal in two runs to compare the figure. `context` are {condition: value}; they may
    differ.
    """

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    limit: str | None = None
    more_is_better: bool = False
    is_share: bool = False
    spreads: bool = False
    disturbed: bool = False
    conditions: dict = field(default_factory=dict)
    context: dict = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return (low, high), the interval of the figure; None if it is unknown."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def served_figures(run: Run, target: str, same_aim: bool = False) -> list[Figure]:
    """Return the figures of the engine that a run chose on a target, and of its configuration under load.

    `same_aim` is explained at `figures_under_load`.
    """
    precision = run.targets[target]["selection"]["precision"]
    return [*figures_of_engine(run, target, precision), *figures_under_load(run, target, same_aim)]


def figures_of_engine(run: Run, target: str, precision: str) -> list[Figure]:
    """Return the figures of the engine of a precision: latency and throughput by batch size, size, memory, accuracy."""
    machine, engine = hardware_of(run, target), run.targets[target]["engines"][precision]
    figures = [figure for size, batch in engine["batches"].items() for figure in _of_batch(size, batch, machine)]
    figures.append(Figure("size", engine["bytes"] / 1e6, "MB", limit="size"))
    if memory := engine["memory_bytes"]:
        name = "memory of the GPU in the benchmark"
        figures.append(Figure(name, memory / 1e6, "MB", limit="memory", conditions=machine))
    return [*figures, *_of_accuracy(engine["accuracy"])]


def figures_under_load(run: Run, target: str, same_aim: bool = False) -> list[Figure]:
    """Return the figures of the chosen configuration in the load test: throughput, p99 latency, memory.

    Throughput and p99 hold for one number of requests in flight, and are compared only if this number is equal in both
    runs. With `same_aim`, both runs chose the most throughput under the same limits (see `aim_of`). Then their
    throughputs are always compared.
    """
    chosen, machine = run.targets[target]["selection"], hardware_of(run, target)
    in_flight = {IN_FLIGHT: chosen["in_flight"]}
    both: dict[str, Any] = {"conditions": machine | in_flight}
    low, high = chosen.get("p99_interval_ms") or (None, None)
    noise: dict[str, Any] = {"spreads": True, "disturbed": chosen["verdict"] == DISTURBED}
    of_rate: dict[str, Any] = {"conditions": machine, "context": in_flight} if same_aim else both
    figures = [
        Figure("throughput under load", **chosen["throughput_per_s"], **noise, **THROUGHPUT, **of_rate),
        Figure("p99 under load", chosen["p99_ms"], "ms", low, high, limit="p99", **noise, **both),
    ]
    if chosen["memory_mb"]:
        figures.append(Figure("memory under load", chosen["memory_mb"], "MB", limit="memory", conditions=machine))
    return figures


def aim_of(run: Run, target: str) -> dict | None:
    """Return the limits, {name: value or None}, under which a run chose the most throughput, such as {"p99_ms": 10}.

    Returns None if the choice had another goal, or if an earlier version of Slipway chose.
    """
    chosen = run.targets[target]["selection"]
    return chosen["limits"] if chosen.get("goal") == CHEAPEST else None


def hardware_of(run: Run, target: str) -> dict:
    """Return {"hardware": hardware and threads in words} of a run on a target, the condition of speed and memory.

    Two runs are compared in these figures only on equal hardware.
    """
    measured = run.targets[target]
    return {HARDWARE: f"{measured['hardware']}, {measured['threads']} threads"}


def _of_batch(size: str, measured: dict, machine: dict) -> Iterator[Figure]:
    conditions = {**machine, "kind of latency": measured["quantity"]}
    noise: dict[str, Any] = {"spreads": True, "disturbed": measured["verdict"] == DISTURBED}
    latency, rate = measured["latency_ms"], measured["throughput_per_s"]
    yield Figure(f"latency at batch {size}", **latency, unit="ms", limit="latency", conditions=conditions, **noise)
    yield Figure(f"throughput at batch {size}", **rate, **THROUGHPUT, conditions=machine, **noise)


def _of_accuracy(accuracy: dict) -> Iterator[Figure]:
    data = {DATA: accuracy["data"]}
    if accuracy["top1"] is not None:
        yield Figure("top-1 accuracy", accuracy["top1"], limit="top1", conditions=data, **SHARE)
    if accuracy["agreement"] is not None:
        yield Figure("agreement with the model", accuracy["agreement"], limit="agreement", conditions=data, **SHARE)
    for name, value in accuracy["metric"].items():
        yield Figure(f"metric {name}", value, more_is_better=True, conditions=data)
