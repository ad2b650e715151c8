"""Decide among the measurements of a load test: the choice, the runner-up, and the figures of every candidate.

A candidate is a measurement (row) of an engine that passed the accuracy check.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.core.errors import SlipwayError
from slipway.load_test import goals
from slipway.load_test.capacities import as_limited, comparable, without_capacity
from slipway.load_test.limits import KEYS, Limits, counted_memory_mb
from slipway.load_test.near_misses import what_has_to_give


@dataclass(frozen=True)
class Decision:
    """A choice among `rows`: measurements with "accuracy_loss" and, for some configurations, a measured "capacity".

    `limited`: the rows, each with the capacity of its configuration. `allowed`: the rows to choose from. `choice`: the
    best allowed row. `second`: the best allowed row of another configuration, or None. `certainty`: how sure it is that
    `choice` is better than `second`, one of the words of `goals.certainty`.
    """

    rows: Sequence[dict]
    limits: Limits
    goal: goals.Goal
    limited: Sequence[dict]
    allowed: Sequence[dict]
    choice: dict
    second: dict | None
    certainty: str

    def candidates(self) -> list[dict]:
        """Return an entry for every row, for selection.json: its figures, its costs, and the limits that it breaks.

        The keys are those of the configuration, "concurrency" (requests in flight), throughput, capacity, p99 and their
        intervals, "memory_mb", "accuracy_loss", "verdict", "machines", "cost_per_million", and "broken" (from
        `Limits.broken`). "chosen" is true for the choice, "on_front" for each row that no other row dominates (see
        `goals.pareto_front`).
        """
        front = goals.pareto_front(list(map(without_capacity, self.rows)))
        return [
            {
                **{name: row[name] for name in (*goals.CONFIGURATION, "concurrency") if name in row},
                "throughput_per_s": row["throughput_per_s"],
                "throughput_interval_per_s": goals.interval(without_capacity(row)),
                "capacity_per_s": row["capacity"]["capacity_per_s"] if "capacity" in row else None,
                "p99_ms": row["p99_ms"],
                "p99_interval_ms": row.get("p99_interval_ms"),
                "memory_mb": counted_memory_mb(row),
                "accuracy_loss": row["accuracy_loss"],
                "verdict": row["verdict"],
                **self._costs(row),
                "broken": self.limits.broken(self.limited[index]),
                "on_front": index in front,
                "chosen": row is self.choice,
            }
            for index, row in enumerate(self.rows)
        ]

    def _costs(self, row: dict) -> dict:
        """Return {"machines", "cost_per_million"} of a row: the number of servers, and the price of a million answers.

        Both are None if only the row or only the choice has a capacity, since their throughputs cannot be compared.
        """
        if ("capacity" in row) != ("capacity" in self.choice):
            return {"machines": None, "cost_per_million": None}
        return {"machines": self.goal.machines(row), "cost_per_million": self.goal.cost_per_million(row)}


def decide(rows: Sequence[dict], limits: Limits, goal: goals.Goal) -> Decision:
    """Return the decision for the best row by the goal among the rows within the limits.

    `rows` are measurements with "accuracy_loss" (see `proven_rows`) and, where it was measured, "capacity" (see
    `with_capacities`). Raises SlipwayError, with the limits to relax, if no row is within the limits.
    """
    allowed = _within(rows, limits, goal)
    choice = goals.choose(allowed, goal)
    second = goals.runner_up(allowed, choice, goal)
    certainty = goals.certainty(choice, second, goal)
    return Decision(rows, limits, goal, as_limited(rows), allowed, choice, second, certainty)


def _within(all_rows: Sequence[dict], limits: Limits, goal: goals.Goal) -> list[dict]:
    if not all_rows:
        raise SlipwayError("no engine that passed the accuracy check was measured; read the load test's log")
    # If capacities were measured, rows without a capacity are no candidates, even if all capacities are too low.
    in_closed_loop = [row for row in all_rows if not limits.broken(without_capacity(row))]
    rows = comparable(in_closed_loop, goal.name) or all_rows
    limited = as_limited(rows)
    if allowed := [row for row, counted in zip(rows, limited, strict=True) if not limits.broken(counted)]:
        return allowed
    configured = [f"`{KEYS[name]}: {value:g}`" for name, value in vars(limits).items() if value is not None]
    raise SlipwayError(
        f"none of the {len(rows)} measured configurations holds {' and '.join(configured)}: "
        f"{what_has_to_give(limited, limits)}. Change these limits in config.yaml, or add values to "
        "`load_test.concurrency`, `instances` or `max_batch_sizes`, such as fewer requests in flight for a lower p99"
    )
