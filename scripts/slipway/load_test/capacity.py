"""The capacity of a configuration: the highest rate of requests that holds the p99 limit, found by bisection.

Without a limit, a rate holds as long as no queue grows.

A point is the measurement of one rate, a dictionary as from `Prober.point`: the figures of `request_rate.read_point`,
"verdict" ("steady", or "disturbed" if other programs took the CPUs), and "outcome", one of these:

- holds: p99 is within the limit, and answers keep up with requests;
- breaks: p99 is above the limit, or a queue grows, so that p99 breaks any limit later;
- not sent: perf_analyzer sent too few requests, so the server was not tested at this rate.

A capacity is a rate that perf_analyzer really sent, not the rate that it was asked to send.
"""

import math
from collections.abc import Callable, Sequence

from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED, STEADY

HOLDS, BREAKS, NOT_SENT = "holds", "breaks", "not sent"
# The reasons why a search ends before its bounds are close.
TIME, DECISION, PERF_ANALYZER = "time", "decision", "perf_analyzer"
# Bounds with this ratio or less are close enough.
CLOSE = 1.12
# The factors from a rate to the next rate while only one bound is known. The first rate is usually close to a bound.
FACTORS = (CLOSE, 1.25, 1.5, 2.0)
# The search stays between the first rate / FARTHEST and the first rate * FARTHEST.
FARTHEST = 20
# A queue grows if at the end more than FEW requests, and more than this share of the answered ones, wait.
GROWING, FEW = 0.05, 3
# If more than this percentage of the requests is sent over a millisecond late, the arrivals are no longer random.
LATE = 5
# perf_analyzer lags if it sent less than this share of the rate that was asked for.
SENT = 0.9


def judged(point: dict, p99_limit_ms: float | None) -> dict:
    """Return the point with its "outcome" ("holds", "breaks" or "not sent") and, unless it holds, the reason as "why".

    `point` is the measurement of one rate, from `request_rate.read_point`, or {"asked_per_s", "requests": 0} without
    answers. Its "sent_per_s" is replaced by the rate that was really sent. `p99_limit_ms` None is no limit: then only a
    growing queue breaks a rate.
    """
    point = {**point, **({"sent_per_s": _really_sent(point)} if point["requests"] else {})}
    outcome, why = _judged(point, p99_limit_ms)
    return {**point, "outcome": outcome, **({"why": why} if why else {})}


def _really_sent(point: dict) -> float:
    """Return the rate (requests/s) that perf_analyzer really sent; the rate that it reports may be too high.

    If the mean latency did not grow from the first to the last window, no queue grew. Then all sent requests were
    answered, so the rate of answers is returned.
    """
    means_ms = point.get("windows_mean_ms", [])
    waits_longer = len(means_ms) < 2 or means_ms[-1] > means_ms[0]
    return point["sent_per_s"] if waits_longer or not _lacks_answers(point) else point["answered_per_s"]


def _lacks_answers(point: dict) -> bool:
    waiting = point["requests"] * (point["sent_per_s"] / point["answered_per_s"] - 1)
    return waiting > max(FEW, GROWING * point["requests"])


def _judged(point: dict, p99_limit_ms: float | None) -> tuple[str, str | None]:
    if not point["requests"]:
        return BREAKS, point.get("ended", "the answers did not come in time")
    sent, answered, asked = (readable(point[f"{name}_per_s"]) for name in ("sent", "answered", "asked"))
    if _lacks_answers(point):
        return BREAKS, f"a queue grows: {answered}/s were answered of {sent}/s that were sent"
    if p99_limit_ms is not None and point["tail_ms"] > p99_limit_ms:
        return BREAKS, f"p{point['tail_percentile']} is {readable(point['tail_ms'])} ms"
    if point["sent_per_s"] < SENT * point["asked_per_s"]:
        return NOT_SENT, f"perf_analyzer itself sent only {sent}/s of {asked}/s"
    return HOLDS, None


def search(
    measure: Callable[[float], dict],
    next_of: Callable[[list[dict]], float | None],
    may_go_on: Callable[[float], bool],
    needed_per_s: float | None = None,
) -> tuple[list[dict], str | None]:
    """Measure rates until `next_of` ends the search. Return (measured points, reason of an early end or None).

    `measure` measures a rate (requests/s), and returns its point with "outcome" and "verdict". `next_of` returns the
    next rate from the points so far; None ends the search. `may_go_on` says whether the time suffices for a rate; if
    not, the search ends with TIME. A disturbed point is measured once more. `needed_per_s` is the rate that the
    configuration must hold to be chosen, or None: the search ends with DECISION if a steady point shows that it breaks
    there, or at a lower rate.
    """
    points: list[dict] = []
    while rate := next_of(points):
        if needed_per_s and any(_breaks_steadily(point, needed_per_s) for point in points):
            return points, DECISION
        if not may_go_on(rate):
            return points, TIME
        points.append(measure(rate))
        if points[-1]["verdict"] == DISTURBED and may_go_on(rate):
            points.append(measure(rate))
    return points, None


def _breaks_steadily(point: dict, most_per_s: float) -> bool:
    return (point["outcome"], point["verdict"]) == (BREAKS, STEADY) and point["asked_per_s"] <= most_per_s


def next_rate(points: Sequence[dict], first: float) -> float | None:
    """Return the next rate (requests/s) to measure after `points`; `first` is the rate of the first point.

    The rates enclose the capacity by bisection. None ends the search: the highest rate that held and the lowest that
    broke are close (see CLOSE), or the next rate would be too far from `first` (see FARTHEST).
    """
    rates: dict[str, list[float]] = {outcome: [] for outcome in (HOLDS, BREAKS, NOT_SENT)}
    for point in counted(points):
        rates[point["outcome"]].append(point["asked_per_s"])
    high = min(rates[BREAKS] + rates[NOT_SENT], default=None)
    low = max((rate for rate in rates[HOLDS] if high is None or rate < high), default=None)
    if low is None and high is None:
        return first
    if low is not None and high is not None:
        return math.sqrt(low * high) if high / low > CLOSE * (1 + 1e-9) else None
    factor = FACTORS[min(len(counted(points)), len(FACTORS)) - 1]
    farther = low * factor if low is not None else (high or first) / factor
    return farther if 1 / FARTHEST <= farther / first <= FARTHEST else None


def counted(points: Sequence[dict]) -> list[dict]:
    """Return one point for each rate: its last steady point or, if no point of the rate is steady, its last point.

    A rate has several points if its first measurement was disturbed and repeated.
    """
    last: dict[float, dict] = {}
    for point in points:
        before = last.get(point["asked_per_s"])
        if before is None or before["verdict"] == DISTURBED or point["verdict"] == STEADY:
            last[point["asked_per_s"]] = point
    return list(last.values())


def capacity(points: Sequence[dict], ended_by: str | None = None) -> dict:
    """Return the capacity of a configuration, from the points of `search` and its reason `ended_by` of an early end.

    "capacity_per_s": the highest sent rate (requests/s) that held, below the lowest rate that broke; None if no rate
    held. "holds_at", "breaks_at": the points of these two rates, or None. "verdict": "disturbed" if one of these points
    was disturbed, if a rate held above a rate that broke, if the samples are too few for p99, or if requests came in
    bursts; otherwise "steady". "why": the reason for "disturbed", or None. "limited_by": the reason why these two rates
    are far apart: PERF_ANALYZER, TIME, DECISION, or None.
    """
    known = counted(points)
    broken = [point for point in known if point["outcome"] == BREAKS]
    held = [point for point in known if point["outcome"] == HOLDS]
    lowest = min(broken, key=rate_of, default=None)
    below = [point for point in held if lowest is None or rate_of(point) < rate_of(lowest)]
    highest = max(below, key=rate_of, default=None)
    whys = _doubts(highest, lowest, len(held) > len(below))
    lagged = any(point["outcome"] == NOT_SENT for point in known)
    return {
        "capacity_per_s": highest and rate_of(highest),
        "holds_at": highest,
        "breaks_at": lowest,
        "verdict": DISTURBED if whys else STEADY,
        "why": "; ".join(whys) or None,
        "limited_by": PERF_ANALYZER if lagged and lowest is None else ended_by,
    }


def _doubts(highest: dict | None, lowest: dict | None, is_contradicted: bool) -> list[str]:
    bounds = [point for point in (highest, lowest) if point]
    doubts = {
        "other programs took the CPUs while a bound was measured": any(
            point["verdict"] == DISTURBED for point in bounds
        ),
        "a higher rate held than one that broke": is_contradicted,
        "there were too few samples for p99": highest is not None and highest["tail_percentile"] < 99,
        "perf_analyzer sent many requests late, in bursts, so the server may take more": lowest is not None
        and _came_in_bursts(lowest),
    }
    return [doubt for doubt, is_present in doubts.items() if is_present]


def _came_in_bursts(broken: dict) -> bool:
    """Return whether a rate may have broken the limit only because perf_analyzer sent requests late, in bursts.

    `broken` is the point of this rate.
    """
    return bool(broken["requests"]) and broken.get("delayed_percent", 0) > LATE and not _lacks_answers(broken)


def rate_of(point: dict) -> float:
    """Return the rate (requests/s) of a point: the rate that was sent or, without answers, the rate to be sent."""
    return point["sent_per_s"] if point["requests"] else point["asked_per_s"]


def in_words(measured: dict, p99_limit_ms: float | None) -> str:
    """Return a result of `capacity` in words: the highest rate that held, and the lowest rate that broke.

    `p99_limit_ms` is the limit that a rate had to hold; None is no limit.
    """
    holds, breaks = measured["holds_at"], measured["breaks_at"]
    if holds is None and breaks is None:
        return "no rate was measured"
    if holds is None:
        limit = "" if p99_limit_ms is None else f" with p99 {p99_limit_ms:g} ms"
        is_decided = measured["limited_by"] == DECISION
        rest = "; a smaller configuration holds about as many, so fewer were not tried" if is_decided else ""
        return f"not even {readable(rate_of(breaks))} requests/s hold{limit}: {breaks['why']}{rest}"
    tail = f"p{holds['tail_percentile']} {readable(holds['tail_ms'])} ms"
    words = f"{readable(rate_of(holds))} requests/s at random times, with {tail}"
    if breaks:
        words += f"; {readable(rate_of(breaks))}/s are too many ({breaks['why']})"
    elif measured["limited_by"] == PERF_ANALYZER:
        words += "; perf_analyzer could not send more, so the server may take more"
    else:
        words += "; no higher rate was measured"
    return words + (f" (disturbed: {measured['why']})" if measured["why"] else "")
