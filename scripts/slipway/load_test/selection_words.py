"""The choice of a configuration in words: its figures under the limits, the reason, the alternatives, its certainty.

A row is a measurement of the load test; the alternatives are the other precisions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED
from slipway.load_test.capacities import without_capacity
from slipway.load_test.decision import Decision
from slipway.load_test.goals import (
    CHEAPEST,
    EQUAL,
    FASTEST,
    NOISE,
    Goal,
    is_close,
    is_within_noise,
)
from slipway.load_test.limits import (
    Limits,
    configuration_in_words,
    counted_memory_mb,
    is_disturbed,
    is_near,
    point_in_words,
    reliable_rate,
)

Row = Mapping[str, Any]


def figures_in_words(row: Row, limits: Limits) -> str:
    """Return a measurement's figures beside the limits, such as "p99 9.1 ms of 10 allowed, 1,900 of 2,000 MB".

    `row` is a measurement of the load test, with "accuracy_loss" if this is limited.
    """
    allowed = f" of {readable(limits.p99_ms, 6)} allowed" if limits.p99_ms is not None else ""
    if limits.p99_ms is not None and is_near(row, limits.p99_ms):
        low, high = row["p99_interval_ms"]
        interval = f": {readable(low, 3)} to {readable(high, 3)} ms" if low and high else ""
        allowed += f" (within the noise{interval})"
    words = [f"p99 {readable(row['p99_ms'], 3)} ms{allowed}"]
    if (memory := counted_memory_mb(row)) is not None:
        most = "" if limits.memory_mb is None else f" of {limits.memory_mb:,.0f}"
        words.append(f"{memory:,.0f}{most} MB")
    least = f" of at least {readable(limits.min_throughput_per_s, 6)}" if limits.min_throughput_per_s else ""
    words.append(f"{row['throughput_per_s']:,.1f}/s{least}")
    if limits.max_accuracy_loss is not None:
        words.append(f"accuracy loss {row['accuracy_loss']:.2g} of {limits.max_accuracy_loss:g}")
    return ", ".join(words)


def in_words(decision: Decision) -> str:
    """Return the choice in words: the reason, the other precisions, and how sure the choice is."""
    choice = decision.choice
    sentences = [
        reason(choice, decision.allowed, decision.limits, decision.goal),
        *_alternatives(decision),
        _sureness(decision.certainty, choice, decision.second),
    ]
    return "; ".join(filter(None, sentences))


def reason(choice: Row, allowed: Sequence[Row], limits: Limits, goal: Goal) -> str:
    """Return the choice in words: its configuration, its figures beside the limits, and why it is the best.

    `choice` is the chosen measurement, `allowed` are all measurements within the limits, which the goal compares.
    """
    return (
        f"{choice['precision']} with {configuration_in_words(choice)}, {choice['concurrency']} in flight: "
        f"{figures_in_words(choice, limits)}; {_by_goal(choice, allowed, goal)}{_cost(choice, goal)}"
    )


def _alternatives(decision: Decision) -> list[str]:
    """Return a sentence for each other precision: how many servers it would need, or the limits that it breaks.

    A capacity is only compared with a capacity, never with a throughput of the load test (in the closed loop).
    """
    choice, rows, limits = decision.choice, decision.limited, decision.limits
    servers = "GPUs" if "gpu_memory_mb" in choice else "machines"
    sentences = []
    for precision in dict.fromkeys(row["precision"] for row in rows if row["precision"] != choice["precision"]):
        own = [row for row in rows if row["precision"] == precision]
        allowed = [row for row in own if not limits.broken(row)]
        if not allowed:
            names = dict.fromkeys(item["limit"] for row in own for item in limits.broken(row))
            sentences.append(f"{precision} never holds all limits ({', '.join(names)})")
            continue
        chosen, best = _like_with_like(choice, allowed)
        if reliable_rate(best) > 0:
            times = reliable_rate(chosen) / reliable_rate(best)
            sentences.append(_need(precision, times, servers, is_within_noise(best, chosen) or is_close(best, chosen)))
    return sentences


def _like_with_like(choice: Row, others: Sequence[Row]) -> tuple[Row, Row]:
    """Return (choice, best of `others`) with throughputs of the same kind, which can be compared.

    Both have capacities (open loop) if the capacity of the choice, and a capacity among `others`, were measured.
    Otherwise both have only the figures of the closed loop.
    """
    with_capacity = [row for row in others if "capacity" in row and reliable_rate(row) > 0]
    if with_capacity and "capacity" in choice:
        return choice, max(with_capacity, key=reliable_rate)
    return without_capacity(choice), max(map(without_capacity, others), key=reliable_rate)


def _need(precision: str, times: float, servers: str, is_equal: bool) -> str:
    if times > 1 and not is_equal:
        return f"{precision} would need {readable(times, 2)} times the {servers}"
    if times < 1 - EQUAL:
        return f"{precision} would need {readable(times, 2)} of the {servers}"
    return f"{precision} would need as many {servers}"


def _sureness(verdict: str, choice: Row, second: Row | None) -> str | None:
    """Return a sentence on why the choice is not sure; None if it is.

    `verdict` is the result of `goals.certainty`: a disturbed measurement or the noise makes the choice unsure. `second`
    is the best row of another configuration, or None.
    """
    noisy = [point_in_words(row) for row in (choice, second) if row is not None and is_disturbed(row)]
    if verdict == DISTURBED:
        return f"but other work disturbed the measurement of {' and of '.join(noisy)}: test again on a quiet machine"
    if verdict == NOISE and second is not None:
        remark = ", disturbed" if noisy else ""
        return f"within the noise, {point_in_words(second)} ({second['throughput_per_s']:,.1f}/s{remark}) is as good"
    return None


def _by_goal(choice: Row, allowed: Sequence[Row], goal: Goal) -> str:
    """Return in words why `choice` is the best by the goal among `allowed`, the rows within the limits."""
    if goal.name == FASTEST:
        return f"the cheapest within {EQUAL:.0%} of the lowest p99 under the limits"
    if goal.name != CHEAPEST:
        return "the cheapest of those that lose the least accuracy"
    if goal.rate:
        count = goal.machines(choice)
        return f"the fewest servers for {readable(goal.rate, 6)}/s (`deploy.rate`): {count if count else 'not known'}"
    best = max(allowed, key=lambda row: (reliable_rate(row), row["throughput_per_s"]))
    if is_close(choice, best):
        return f"the smallest within {EQUAL:.0%} of the most that any configuration answers under the limits"
    return (
        f"the smallest within the noise of the most that any configuration answers under the limits "
        f"({best['throughput_per_s']:,.1f}/s by {point_in_words(best)})"
    )


def _cost(choice: Row, goal: Goal) -> str:
    cost = goal.cost_per_million(choice)
    basis = f"at {readable(goal.rate, 6)}/s" if goal.rate else "at its own throughput"
    return "" if cost is None else f"; {readable(cost, 3)} for a million inferences {basis}"
