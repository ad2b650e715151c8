"""The figures of a run, one by one, with the conditions under which two runs can be compared in them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from slipway.history.lines import Run

# What a figure depends on.
HARDWARE, DATA = "hardware", "evaluation data"
DISTURBED = "disturbed"


@dataclass(frozen=True)
class Figure:
    """One figure. `limit` is the key of `regression` in config.yaml that limits its change; None if none does.

    `is_share`: it is a share of 0..1, so its change is a difference; else its change is relative. `spreads`: repeated
    measurements differ, so only a change that is more than the noise counts. `low` and `high` are its interval, None
    if it is not known. `conditions` are {what must be equal to compare it: its value}.
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


def figures_of_engine(run: Run, target: str, precision: str) -> list[Figure]:
    """Return the figures of an engine: speed at each batch size, size, memory, accuracy."""
    machine, engine = hardware_of(run, target), run.targets[target]["engines"][precision]
    found = [each for size in engine["batches"] for each in _of_batch(size, engine["batches"][size], machine)]
    found.append(Figure("size", engine["bytes"] / 1e6, "MB", limit="size"))
    if engine["memory_bytes"]:
        memory = engine["memory_bytes"] / 1e6
        found.append(Figure("memory of the GPU in the benchmark", memory, "MB", limit="memory", conditions=machine))
    return [*found, *_of_accuracy(engine["accuracy"])]


def figures_under_load(run: Run, target: str) -> list[Figure]:
    """Return the figures of the chosen configuration in the load test."""
    chosen, machine = run.targets[target]["selection"], hardware_of(run, target)
    rate, disturbed = chosen["throughput_per_s"], chosen["verdict"] == DISTURBED
    loaded = {"conditions": {**machine, "requests in flight": chosen["in_flight"]}, "disturbed": disturbed}
    found = [
        Figure(
            "throughput under load", **rate, unit="/s", limit="throughput", more_is_better=True, spreads=True, **loaded
        ),
        Figure("p99 under load", chosen["p99_ms"], "ms", spreads=True, **loaded),
    ]
    if chosen["memory_mb"]:
        found.append(Figure("memory under load", chosen["memory_mb"], "MB", limit="memory", conditions=machine))
    return found


def hardware_of(run: Run, target: str) -> dict:
    """Return the condition that figures of speed and memory are of the same hardware."""
    measured = run.targets[target]
    return {HARDWARE: f"{measured['hardware']}, {measured['threads']} threads"}


def _of_batch(size: str, measured: dict, machine: dict) -> Iterator[Figure]:
    conditions = {**machine, "kind of latency": measured["quantity"]}
    disturbed = {"spreads": True, "disturbed": measured["verdict"] == DISTURBED}
    latency, rate = measured["latency_ms"], measured["throughput_per_s"]
    yield Figure(f"latency at batch {size}", **latency, unit="ms", limit="latency", conditions=conditions, **disturbed)
    more = {"limit": "throughput", "more_is_better": True, "conditions": machine}
    yield Figure(f"throughput at batch {size}", **rate, unit="/s", **more, **disturbed)


def _of_accuracy(accuracy: dict) -> Iterator[Figure]:
    data, shares = {DATA: accuracy["data"]}, {"is_share": True, "more_is_better": True}
    if accuracy["top1"] is not None:
        yield Figure("top-1 accuracy", accuracy["top1"], limit="top1", conditions=data, **shares)
    if accuracy["agreement"] is not None:
        yield Figure("agreement with the model", accuracy["agreement"], limit="agreement", conditions=data, **shares)
    for name, value in accuracy["metric"].items():
        yield Figure(f"metric {name}", value, more_is_better=True, conditions=data)
