"""Choose the configuration to serve: the precision, batch size and instance count with the most throughput.

The configuration must be within the limits of latency and memory.
"""

import argparse
from pathlib import Path

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.load_test.limits import configuration_in_words, counted_memory_mb, holds, is_disturbed, point_in_words

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
    reason = reason_of(choice, best_of(allowed(rows, arguments.p99_limit_ms, arguments.memory_limit_mb)))
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
    """Return the row to serve: the cheapest of those whose throughput equals the highest one under the limits.

    Equal is within 10 %, or within the noise of the measurement windows. Cheap means few instances, then small batches,
    then little memory (the GPU's on a GPU target). Raises SlipwayError if no row is within the limits.
    """
    if not rows:
        raise SlipwayError("no engine that passed the accuracy check was measured; read the load test's log")
    candidates = allowed(rows, p99_limit_ms, memory_limit_mb)
    if not candidates:
        nearest = min(rows, key=lambda row: row["p99_ms"])
        used = counted_memory_mb(nearest)
        raise SlipwayError(
            f"no configuration holds p99 <= {p99_limit_ms:g} ms and memory <= {memory_limit_mb or 'any'} MB; the "
            f"fastest is {nearest['variant']} with p99 {nearest['p99_ms']:.0f} ms and "
            f"{'memory that was not seen' if used is None else f'{used:.0f} MB'}. Raise load_test.p99_limit_ms or "
            "memory_limit_mb, or add lower values to load_test.concurrency"
        )
    best = best_of(candidates)
    equal = [row for row in candidates if is_close(row, best) or is_within_noise(row, best)]
    return min(
        equal, key=lambda row: (row["instances"], row["max_batch_size"], counted_memory_mb(row) or 0, row["p99_ms"])
    )


def allowed(rows: list[dict], p99_limit_ms: float, memory_limit_mb: float | None) -> list[dict]:
    """Return the rows within the limits."""
    return [row for row in rows if holds(row, p99_limit_ms, memory_limit_mb)]


def best_of(rows: list[dict]) -> dict:
    """Return the row with the highest throughput."""
    return max(rows, key=lambda row: row["throughput_per_s"])


def is_close(row: dict, best: dict) -> bool:
    """Say whether the throughput of a row is within 10 % of the best."""
    return row["throughput_per_s"] >= best["throughput_per_s"] * (1 - EQUAL)


def is_within_noise(row: dict, best: dict) -> bool:
    """Say whether a steady row's fastest window reaches the slowest window of the best row.

    The spread of a disturbed row shows only that little is known of it. Records of earlier versions have no windows.
    """
    own, others = row.get("windows_per_s"), best.get("windows_per_s")
    return bool(own and others) and not is_disturbed(row) and max(own) >= min(others)


def reason_of(choice: dict, best: dict) -> str:
    """Return the reason for the choice in words. `best` is the row with the highest throughput under the limits."""
    reason = (
        f"{choice['precision']} with {configuration_in_words(choice)}, answers {choice['throughput_per_s']:.1f}/s at "
        f"p99 {choice['p99_ms']:.0f} ms with {choice['concurrency']} in flight: the cheapest "
    )
    if is_close(choice, best):
        reason += f"within {EQUAL:.0%} of the most that any configuration answers under the limits"
    else:
        reason += (
            f"within the noise of the most that any configuration answers under the limits "
            f"({best['throughput_per_s']:.1f}/s by {point_in_words(best)})"
        )
    if noisy := [point_in_words(row) for row in ([choice] if choice == best else [choice, best]) if is_disturbed(row)]:
        reason += (
            f"; but other work disturbed the measurement of {' and of '.join(noisy)}: test again on a quiet machine"
        )
    return reason


if __name__ == "__main__":
    run(main, parse_arguments())
