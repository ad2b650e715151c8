"""Leave engines out of the load test if the benchmark shows that they break a limit even without load."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.benchmark.comparison import highest_throughput
from slipway.core.steadiness import STEADY
from slipway.load_test.limits import breaks_still

LATENCY = "end_to_end"


def left_out(
    results: Sequence[Mapping[str, Any]],
    precisions: Iterable[str],
    limits: Mapping[str, float | None],
    instances: int,
    largest_batch: int,
) -> list[dict]:
    """Return the engines that need no load test, since the benchmark shows that they break a limit even without load.

    Each such engine has one entry, for the first limit that it breaks: {"precision", "limit": the limit's name,
    "allowed": the limit's value, "figure": the measured value, "quantity": what was measured, in words}. `results` are
    "results" in the record of benchmark.py, `precisions` those to load-test. `limits` are {"p99_ms",
    "min_throughput_per_s"}; None is no limit. An engine breaks "p99_ms" if its p99 latency of single requests (the
    median, if the samples are too few for p99) is above the limit. It breaks "min_throughput_per_s" if `instances`
    times its best throughput is below the limit; this is checked only if batches up to `largest_batch` were measured.
    An engine with a disturbed measurement is never left out.
    """
    entries = []
    for precision in precisions:
        own = [result for result in results if result["subject"] == precision]
        if not own or any(result["intervals"]["verdict"] != STEADY for result in own):
            continue
        figures = _latency(own), _throughput(own, instances, largest_batch)
        entries += [
            {"precision": precision, "allowed": limits[figure["limit"]], **figure}
            for figure in filter(None, figures)
            if breaks_still(figure, limits)
        ][:1]
    return entries


def _latency(results: Sequence[Mapping[str, Any]]) -> dict | None:
    """Return the latency (ms) of single requests, as {"limit", "figure", "quantity"} for `left_out`.

    Load only increases it. `results` are the benchmark's results of one engine. Returns None if the latency was
    disturbed or not measured.
    """
    single = next((result for result in results if result["batch"] == 1), None)
    if single is None or single["intervals"]["p50_ms"][LATENCY]["verdict"] != STEADY:
        return None
    latency = single["latency"][LATENCY]
    name = "p99_ms" if latency.get("p99_ms") is not None else "p50_ms"
    return {"limit": "p99_ms", "figure": latency[name], "quantity": f"unloaded {name.removesuffix('_ms')}"}


def _throughput(results: Sequence[Mapping[str, Any]], instances: int, largest_batch: int) -> dict | None:
    """Return the most that `instances` could answer (inferences/s), as {"limit", "figure", "quantity"} for `left_out`.

    `results` are the benchmark's results of one engine. Returns None if batches up to `largest_batch` were not
    measured, since larger batches may be faster.
    """
    if max(result["batch"] for result in results) < largest_batch:
        return None
    best = max(results, key=lambda result: highest_throughput(result)["inferences_per_s"])
    most = best["intervals"]["inferences_per_s"]["high"] * instances
    return {"limit": "min_throughput_per_s", "figure": most, "quantity": "throughput at its best"}
