"""Choose the configuration to serve: by the goal, the best of the measured ones within the limits."""

import argparse

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.load_test.accuracy_loss import accuracy_loss, proven_rows, read_accuracy
from slipway.load_test.capacities import as_limited, comparable, of_choice, with_capacities, without_capacity
from slipway.load_test.goals import (
    CONFIGURATION,
    Goal,
    add_choice,
    certainty,
    choose,
    interval,
    limits_of,
    pareto_front,
    runner_up,
)
from slipway.load_test.limits import KEYS, Limits, counted_memory_mb, gaps_in_words, left_out_in_words
from slipway.load_test.near_misses import what_has_to_give
from slipway.load_test.selection_words import alternatives, reason, sureness
from slipway.triton.server.kinds import why_another


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "load_test", "output", capacity="capacities of the fastest configurations (.json)")
    add_choice(arguments)
    arguments.add_argument("--rate", type=float, help="inferences/s of all servers, for which they are counted")
    free = "share of each server's throughput that stays free at this rate"
    arguments.add_argument("--headroom", type=float, help=free)
    arguments.add_argument("--serving-image", help="container that serves elsewhere than on this machine")
    arguments.add_argument("--serving-release", help="Triton release in it")
    arguments.add_argument("--price-per-hour", type=float, help="price of one server, in any currency")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Choose among the measurements, and record the reason."""
    tested = read_json(arguments.load_test)
    proven = read_accuracy(arguments.accuracy)
    closed_loop = proven_rows(tested["measurements"], proven)
    capacities = read_json(arguments.capacity)
    rows = with_capacities(closed_loop, capacities, sha256(arguments.load_test))
    limits = limits_of(arguments)
    goal = Goal(arguments.goal, arguments.rate, arguments.price_per_hour, arguments.headroom or 0.0)
    # A capacity is a configuration's own. Where some were measured, no closed loop stands for one that is too low.
    in_closed_loop = [row for row in rows if not limits.broken(without_capacity(row))]
    allowed = within(comparable(in_closed_loop, goal.name) or rows, limits)
    choice = choose(allowed, goal)
    second = runner_up(allowed, choice, goal)
    verdict = certainty(choice, second, goal)
    filtered, found = tested.get("left_out", []), of_choice(choice, rows)
    another = why_another(tested["server"], arguments.serving_image, arguments.serving_release)
    sentences = [in_words(choice, second, verdict, allowed, rows, limits, goal), *map(left_out_in_words, filtered)]
    missing = tested.get("not_measured", [])
    gap = gaps_in_words(missing, [], tested.get("minutes"))
    words = "; ".join([*sentences, *([found["words"]] if found else []), *filter(None, [gap, another])])
    precision = choice["precision"]
    record = {
        "origin": tested["origin"],
        "key": settings_of(arguments),
        **{name: choice[name] for name in CONFIGURATION if name in choice},
        "measured": {name: value for name, value in without_capacity(choice).items() if name != "accuracy_loss"},
        "capacity": found,
        # They were measured to help where the capacities were measured.
        "serving_options": capacities.get("serving_options", {}) if found else {},
        "limits": vars(limits),
        "goal": vars(goal) | {"cost_at": "rate" if goal.rate else "own throughput"},
        "accuracy_limits": proven[precision]["limits"],
        "accuracy_loss": {precision: accuracy_loss(record) for precision, record in proven.items()},
        "proven_on_labels": proven[precision]["proven_on_labels"],
        "reason": words,
        "server": tested["server"] | {"another_serves": another},
        "certainty": {"verdict": verdict, "runner_up": None if second is None else rows.index(second)},
        "candidates": candidates(rows, choice, limits, goal),
        "left_out": filtered,
        "not_measured": missing,
        "chosen_from": {
            "measurements": len(rows),
            "load_test_sha256": sha256(arguments.load_test),
            "capacity_sha256": sha256(arguments.capacity),
        },
    }
    write_json(arguments.output, record)
    progress(f"  {words}")


def within(rows: list[dict], limits: Limits) -> list[dict]:
    """Return the rows within the limits. Raise SlipwayError if there are none, with the limits that have to give."""
    if not rows:
        raise SlipwayError("no engine that passed the accuracy check was measured; read the load test's log")
    limited = as_limited(rows)
    if allowed := [row for row, counted in zip(rows, limited, strict=True) if not limits.broken(counted)]:
        return allowed
    asked = [f"`{KEYS[name]}: {value:g}`" for name, value in vars(limits).items() if value is not None]
    raise SlipwayError(
        f"no configuration of {len(rows)} measured ones holds {' and '.join(asked)}: "
        f"{what_has_to_give(limited, limits)}. Change these limits in config.yaml, or add values to "
        "`load_test.concurrency`, `instances` or `max_batch_sizes`, such as fewer requests in flight for a lower p99"
    )


def in_words(
    choice: dict, second: dict | None, verdict: str, allowed: list[dict], rows: list[dict], limits: Limits, goal: Goal
) -> str:
    """Return the choice in words: the reason, the other precisions, and how sure it is.

    The servers that another precision would need follow from the capacities, or from the closed loops if it has none.
    """
    servers = "GPUs" if "gpu_memory_mb" in choice else "machines"
    others = alternatives(choice, as_limited(rows), limits, servers)
    return "; ".join(
        [reason(choice, allowed, limits, goal), *others, *filter(None, [sureness(verdict, choice, second)])]
    )


def costs(row: dict, choice: dict, goal: Goal) -> dict:
    """Return {"machines", "cost_per_million"}. Where capacities decided, a row without one has None for both."""
    if ("capacity" in row) != ("capacity" in choice):
        return {"machines": None, "cost_per_million": None}
    return {"machines": goal.machines(row), "cost_per_million": goal.cost_per_million(row)}


def candidates(rows: list[dict], choice: dict, limits: Limits, goal: Goal) -> list[dict]:
    """Return the figures of every row: its interval, the limits that it breaks, its costs, and its place."""
    front = pareto_front(list(map(without_capacity, rows)))
    limited = as_limited(rows)
    return [
        {
            **{name: row[name] for name in (*CONFIGURATION, "concurrency") if name in row},
            "throughput_per_s": row["throughput_per_s"],
            "throughput_interval_per_s": interval(without_capacity(row)),
            "capacity_per_s": row["capacity"]["capacity_per_s"] if "capacity" in row else None,
            "p99_ms": row["p99_ms"],
            "p99_interval_ms": row.get("p99_interval_ms"),
            "memory_mb": counted_memory_mb(row),
            "accuracy_loss": row["accuracy_loss"],
            "verdict": row.get("verdict"),
            **costs(row, choice, goal),
            "broken": limits.broken(limited[index]),
            "on_front": index in front,
            "chosen": row is choice,
        }
        for index, row in enumerate(rows)
    ]


if __name__ == "__main__":
    run(main, parse_arguments())
