"""The rows of a load test: figures that Model Analyzer's table lacks, missing points, the table as CSV."""

import csv
from pathlib import Path
from typing import Any

from slipway.core.artifacts import atomic_write
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.interference import Interference
from slipway.load_test.limits import is_crowded
from slipway.load_test.sweep import BRUTE, POINT, Sweep, points
from slipway.triton.repository.model_config import read_config

# Of a point whose windows were not reported.
NO_WINDOWS: dict = {"windows_per_s": [], "unstable": False, "shortened": False, "p50_ms": None}
# Figures that are only in the record, since a cell of the table holds one.
NOT_IN_TABLE = ("windows_per_s", "p99_interval_ms", "gpu_state")


def varied_of(row: dict, workspace: Path) -> dict:
    """Return {"instances", "queue_delay_us"} of a variant from its configuration.

    Model Analyzer's table has the instances multiplied by GPUs, and no delay.
    """
    config = read_config(workspace / "variants" / row["variant"] / "config.pbtxt")
    instances = sum(group.count for group in config.instance_group)
    return {"instances": instances, "queue_delay_us": config.dynamic_batching.max_queue_delay_microseconds}


def point_of(row: dict) -> str:
    """Return the name of a point, which its measurements are stored under."""
    return f"{row['variant']}/{row['concurrency']}"


def figures_of(point: str, narrator: Any, interference: Interference, sweep: Sweep, on_gpu: bool) -> dict:
    """Return the figures of a point that Model Analyzer's table lacks: memory, spread, and disturbances.

    `narrator` has the peaks of memory and the windows.

    "spread_percent" is the difference between the throughputs of its windows. "verdict" is "disturbed" if the spread is
    more than `stability_percent`, if perf_analyzer found no three windows that agree, or if other programs took CPU
    time when hardly any was left. "shortened": its windows have fewer requests than asked for, since they would have
    taken too long. On a GPU target there are the GPU's memory and state, too.
    """
    peak, windows = narrator.memory.peaks.get(point, {}), narrator.windows.get(point, NO_WINDOWS)
    rates, shares = windows["windows_per_s"], interference.cpu_percent(point)
    spread = round(100 * (max(rates) / min(rates) - 1), 1) if rates and min(rates) else None
    disturbed = windows["unstable"] or spread is None or spread > sweep.stability_percent or is_crowded(shares)
    return {
        "p50_ms": windows["p50_ms"],
        "p99_interval_ms": windows.get("p99_interval_ms"),
        "memory_mb": peak.get("memory_mb"),
        **({"gpu_memory_mb": peak.get("gpu_memory_mb")} if on_gpu else {}),
        "spread_percent": spread,
        "verdict": "disturbed" if disturbed else "steady",
        "shortened": windows["shortened"],
        "windows_per_s": rates,
        **shares,
        **({"gpu_state": interference.gpu_state(point)} if on_gpu else {}),
    }


def by_one_name(rows: list[dict]) -> list[dict]:
    """Return the rows with one variant for each configuration: a search has two names for config.pbtxt itself."""
    names: dict[tuple, str] = {}
    varied = ("model", "instances", "max_batch_size", "queue_delay_us")
    return [row | {"variant": names.setdefault(tuple(row[name] for name in varied), row["variant"])} for row in rows]


def not_measured(rows: list[dict], engines: dict[str, RecordedEngine], sweep: Sweep) -> list[dict]:
    """Return the points of the sweep that no row measured; none of a search, which chooses its points itself."""
    if sweep.search != BRUTE:
        return []
    measured = [{name: row[name] for name in POINT} for row in rows]
    return [
        {"precision": engines[point["model"]].record["key"]["precision"], **point}
        for point in points(list(engines), sweep)
        if point not in measured
    ]


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the rows as CSV."""
    with atomic_write(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        columns = [name for name in rows[0] if name not in NOT_IN_TABLE]
        writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
