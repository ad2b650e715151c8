"""Measure subjects in turns, for several rounds, and summarise the rounds.

A round gives each subject one short turn (A B C A B C ...), so that a drift of the machine affects all subjects. A
figure is the median of its rounds. Its interval comes from order statistics: for any distribution, the true median lies
between the k-th lowest and the k-th highest round with a known probability.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from slipway.benchmark.cpu_waiting import CpuWaiting
from slipway.benchmark.timing import percentile_interval
from slipway.core.steadiness import DISTURBED, STEADY

Subject = TypeVar("Subject", bound=Hashable)
# The least number of rounds of a measurement. If there are more rounds, at most the last COUNTED rounds count.
ROUNDS, COUNTED = 5, 8
# The least probability of an interval. It is 94 % from the lowest to the highest of five rounds, and 93 % from the
# second lowest to the second highest of eight rounds.
CONFIDENCE = 0.9
# A figure is steady if its interval is at most STEADY_SHARE of it, and if the process waited for a CPU for at most the
# share MOST_WAITING of the time.
STEADY_SHARE, MOST_WAITING = 0.15, 0.1
METHOD = (
    f"each subject in turns, at least {ROUNDS} rounds; a disturbed measurement gets more, of which the last {COUNTED} "
    "count. Figures and ratios are medians of the rounds, and the ratio of a round is of the same round's figures. An "
    f"interval is that of the order statistics, at least {CONFIDENCE:.0%} from {ROUNDS} rounds up. "
    f"{DISTURBED}: an interval is wider than {STEADY_SHARE:.0%} of its figure, there are fewer rounds, or the process "
    f"waited for a CPU that others had for more than {MOST_WAITING:.0%} of the time that it could have run"
)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return (median, low, high) of a figure's values: with a known probability, the true median is in low..high.

    `percentile_interval` defines the interval. If there are too few values for it, `low` and `high` are the lowest and
    the highest value.
    """
    low, high = percentile_interval(values, 50, CONFIDENCE)
    return float(np.median(values)), min(values) if low is None else low, max(values) if high is None else high


def interval(values: Sequence[float], waiting: Sequence[float | None] = ()) -> dict:
    """Return {"median", "low", "high", "verdict"} of a figure from its `values`, one for each round.

    The verdict is "disturbed" if the interval is too wide, there are too few rounds, or other programs had the CPUs;
    otherwise "steady". `waiting` has, for each round, the share (0..1) of the time that the process waited for a CPU;
    None is unknown.
    """
    middle, low, high = median_interval(values)
    known = [share for share in waiting if share is not None]
    is_quiet = not known or float(np.median(known)) <= MOST_WAITING
    is_steady = is_quiet and len(values) >= ROUNDS and high - low <= STEADY_SHARE * middle
    figures = {"median": middle, "low": low, "high": high}
    return {
        **{name: round(value, 4) for name, value in figures.items()},
        "verdict": STEADY if is_steady else DISTURBED,
    }


def is_no_difference(ratio: Mapping[str, Any]) -> bool:
    """Say whether no difference was measured: the interval {"low", "high"} of a ratio includes 1."""
    return ratio["low"] <= 1 <= ratio["high"]


def take_turns(
    turns: Mapping[Subject, Callable[[], dict | None]],
    is_steady: Callable[[Mapping[Subject, list[dict]]], bool],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> dict[Subject, list[dict]]:
    """Measure the subjects in turns, round by round. Return {subject: [its measurement in each round that counts]}.

    Each function in `turns`, {subject: function}, measures its subject once. If a function returns None, its subject is
    left out from then on. There is at least one round. After ROUNDS rounds, more rounds follow until `is_steady`
    accepts the rounds that count. All rounds end before another round would exceed `seconds` on `clock`. Each
    measurement gets "cpu_waiting", the share (0..1) of the time that the process waited for a CPU.
    """
    rounds: dict[Subject, list[dict]] = {name: [] for name in turns}
    begin, number = clock(), 0
    while True:
        start = clock()
        for name in list(rounds):
            with CpuWaiting() as waiting:
                measured = turns[name]()
            if measured is None:
                del rounds[name]
            else:
                rounds[name] = [*rounds[name], {**measured, "cpu_waiting": waiting.share}][-COUNTED:]
        number += 1
        if (number >= ROUNDS and is_steady(rounds)) or 2 * clock() - start - begin > seconds:
            return rounds


def merged(rounds: Sequence[dict]) -> dict:
    """Return one subject's measurements of several rounds as one: all samples, and medians of the throughputs.

    `rounds` is a list of `take_turns`. A throughput that is missing in a round, as without a CUDA graph, is None. A
    latency that is missing in a round is left out. Other entries are taken from the last round. "rounds" has the
    figures of each round: {"p50_ms": {quantity: ...}, "rates": {kind of throughput: {streams: inferences/s}},
    "cpu_waiting"}.
    """
    last = rounds[-1]
    quantities = [name for name in last["samples_ms"] if all(turn["samples_ms"].get(name) for turn in rounds)]
    throughputs = [name for name in last if name.startswith("throughput")]
    kinds = [name for name in throughputs if all(turn.get(name) for turn in rounds)]
    return {
        **{name: value for name, value in last.items() if name != "cpu_waiting"},
        **dict.fromkeys(throughputs),
        **{kind: _medians([turn[kind] for turn in rounds]) for kind in kinds},
        "samples_ms": {
            quantity: [sample for turn in rounds for sample in turn["samples_ms"][quantity]] for quantity in quantities
        },
        "rounds": [
            {
                "p50_ms": {name: round(float(np.median(turn["samples_ms"][name])), 6) for name in quantities},
                "rates": {kind: turn[kind] for kind in kinds},
                "cpu_waiting": turn["cpu_waiting"],
            }
            for turn in rounds
        ],
    }


def _medians(rates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return {number of streams: median inferences/s} from `rates`, {number of streams: inferences/s} of each round."""
    return {streams: round(float(np.median([of_round[streams] for of_round in rates])), 2) for streams in rates[0]}
