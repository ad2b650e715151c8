"""Choose the configuration to serve: the precision, batch size and instance count with the most throughput.

The configuration must be within the limits of latency and memory.
"""

import argparse
from pathlib import Path

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.load_test.limits import configuration_in_words, counted_memory_mb, holds

# Throughputs this close to the best count as equal, since repeated measurements differ as much. The cheapest wins.
EQUAL = 0.10


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "load_test", "output")
    arguments.add_argument("--accuracy", type=Path, nargs="+", required=True, help="accuracy records of the engines")
    arguments.add_argument("--p99-limit-ms", type=float, required=True, help="highest p99 latency in milliseconds")
    arguments.add_argument("--memory-limit-mb", type=float, help="most MB of server and model; on a GPU, the GPU's")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Choose among the measurements, and record the reason."""
    tested = read_json(arguments.load_test)
    proven = {record["engine_key"]["precision"]: record for record in map(read_json, arguments.accuracy)}
    rows = [row for row in tested["measurements"] if row["precision"] in proven]
    choice = choose(rows, arguments.p99_limit_ms, arguments.memory_limit_mb)
    reason = (
        f"{choice['precision']} with {configuration_in_words(choice)}, answers {choice['throughput_per_s']:.1f}/s at "
        f"p99 {choice['p99_ms']:.0f} ms with {choice['concurrency']} in flight: the cheapest within "
        f"{EQUAL:.0%} of the most that any configuration answers under the limits"
    )
    record = {
        "origin": tested["origin"],
        "key": settings_of(arguments),
        **{name: choice[name] for name in ("precision", "max_batch_size", "instances")},
        "measured": choice,
        "limits": {"p99_ms": arguments.p99_limit_ms, "memory_mb": arguments.memory_limit_mb},
        "accuracy_limits": proven[choice["precision"]]["limits"],
        "proven_on_labels": proven[choice["precision"]]["proven_on_labels"],
        "reason": reason,
        "chosen_from": {"measurements": len(rows), "load_test_sha256": sha256(arguments.load_test)},
    }
    write_json(arguments.output, record)
    progress(f"  {reason}")


def choose(rows: list[dict], p99_limit_ms: float, memory_limit_mb: float | None) -> dict:
    """Return the row to serve: the cheapest of the rows within 10 % of the highest throughput under the limits.

    Cheap means few instances, then small batches, then little memory (the GPU's on a GPU target). Raises SlipwayError
    if no row is within the limits.
    """
    if not rows:
        raise SlipwayError("no engine that passed the accuracy check was measured; read the load test's log")
    allowed = [row for row in rows if holds(row, p99_limit_ms, memory_limit_mb)]
    if not allowed:
        nearest = min(rows, key=lambda row: row["p99_ms"])
        used = counted_memory_mb(nearest)
        raise SlipwayError(
            f"no configuration holds p99 <= {p99_limit_ms:g} ms and memory <= {memory_limit_mb or 'any'} MB; the "
            f"fastest is {nearest['variant']} with p99 {nearest['p99_ms']:.0f} ms and "
            f"{'memory that was not seen' if used is None else f'{used:.0f} MB'}. Raise load_test.p99_limit_ms or "
            "memory_limit_mb, or add lower values to load_test.concurrency"
        )
    best = max(row["throughput_per_s"] for row in allowed)
    equal = [row for row in allowed if row["throughput_per_s"] >= best * (1 - EQUAL)]
    return min(
        equal, key=lambda row: (row["instances"], row["max_batch_size"], counted_memory_mb(row) or 0, row["p99_ms"])
    )


if __name__ == "__main__":
    run(main, parse_arguments())
