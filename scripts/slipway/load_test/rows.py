"""The rows of a load test: one name for each configuration, missing points, the table as CSV."""

import csv
from collections.abc import Mapping
from pathlib import Path

from slipway.core.artifacts import atomic_write
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.sweep import BRUTE, POINT, Sweep

# Figures that are only in the record, since a cell of the table holds one.
NOT_IN_TABLE = ("windows_per_s", "p99_interval_ms", "gpu_state")


def by_one_name(rows: list[dict]) -> list[dict]:
    """Return the rows with one "variant" (name) for each configuration.

    In a search, Model Analyzer measures the configuration in config.pbtxt under two names.
    """
    names: dict[tuple, str] = {}
    varied = ("model", "instances", "max_batch_size", "queue_delay_us")
    return [row | {"variant": names.setdefault(tuple(row[name] for name in varied), row["variant"])} for row in rows]


def not_measured(rows: list[dict], engines: Mapping[str, RecordedEngine], sweep: Sweep) -> list[dict]:
    """Return the points of the sweep that no row measured; none for a search, which chooses its points itself."""
    if sweep.search != BRUTE:
        return []
    measured = [{name: row[name] for name in POINT} for row in rows]
    return [
        {"precision": engines[point["model"]].record["key"]["precision"], **point}
        for point in sweep.points(list(engines))
        if point not in measured
    ]


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the rows as CSV."""
    with atomic_write(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        columns = [name for name in rows[0] if name not in NOT_IN_TABLE]
        writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
