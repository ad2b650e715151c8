"""The top of the page: the verdict on the served engine in one line, and its five main figures.

A verdict is (state, words). The state is "yes", "no", or "open" if the measurements do not decide.
"""

from dataclasses import dataclass

from slipway.benchmark import comparison
from slipway.classification import reporting
from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED
from slipway.load_test.limits import counted_memory_mb, is_disturbed
from slipway.report.formats import AGREEMENTS, megabytes, milliseconds
from slipway.report.measurements import Measurements, Target
from slipway.report.verdicts import NO, OPEN, YES, Verdict, is_faster, is_it_live, is_it_right


@dataclass(frozen=True)
class Figure:
    """One of the five main figures as text: `value`, `name`, and `compared`, the figure to compare it with.

    `disturbed`: whether its measurement was disturbed.
    """

    value: str
    name: str
    compared: str
    disturbed: bool = False


def verdict(target: Target, measurements: Measurements) -> list[Verdict]:
    """Return a verdict, (state, words), on each of speed, size, accuracy and liveness of the served configuration.

    The states are YES, NO and OPEN of `verdicts`.
    """
    return [speed(target), size(target), accuracy(target, measurements), is_it_live(target, measurements.history)]


def speed(target: Target) -> Verdict:
    """Return (state, words): how many times as fast as the baseline the chosen engine answers single requests.

    The baseline is PyTorch or, if PyTorch does not run the model, ONNX Runtime.
    """
    ratio, state, title = target.latency_ratio, is_faster(target), comparison.TITLES[target.baseline]
    if state == NO:
        return NO, f"slower than {title}: {ratio['median']:.2f} times its latency"
    if ratio["verdict"] == DISTURBED:
        return OPEN, f"{_times(ratio)} as fast as {title}, in a disturbed measurement"
    if state == OPEN:
        return OPEN, f"as fast as {title}, within the noise"
    return YES, f"{_times(ratio)} as fast as {title}"


def size(target: Target) -> Verdict:
    """Return (state, words): how much smaller the chosen engine's file is than the FP32 ONNX file.

    The state is YES, NO if it is larger, or OPEN.
    """
    share = target.chosen.build["bytes"] / target.chosen.build["onnx_bytes"]
    if abs(share - 1) < 0.005:
        return OPEN, "as large as the FP32 ONNX file"
    return (YES, f"{1 - share:.0%} smaller") if share < 1 else (NO, f"{share - 1:.0%} larger")


def accuracy(target: Target, measurements: Measurements) -> Verdict:
    """Return (state, words): whether the chosen engine keeps the model's accuracy, as far as it was measured.

    The state is YES, NO or OPEN.
    """
    if measurements.is_rehearsal:
        return OPEN, "accuracy unknown (rehearsal: random weights)"
    state, _ = is_it_right(target, measurements)
    record = target.chosen.accuracy
    if record["proven_on_labels"]:
        kept = reporting.is_kept(record["evaluation"])
        return state if kept else NO, reporting.kept_in_words(record["evaluation"])
    if state == YES:
        return YES, "accuracy kept within the limits of your metric"
    return OPEN, f"repeats {measurements.contract.baseline}'s answers; accuracy not measured"


def figures(target: Target, measurements: Measurements) -> list[Figure]:
    """Return the five main figures of the chosen engine: latency, throughput and p99 under load, size, accuracy."""
    return [_latency(target, measurements), *_under_load(target), _size(target), _accuracy(target, measurements)]


def _latency(target: Target, measurements: Measurements) -> Figure:
    own, theirs = results(target)
    p50, baseline_p50 = (
        milliseconds(result["latency"][comparison.best_quantity(result["latency"])]["p50_ms"])
        for result in (own, theirs)
    )
    name = f"median latency, batch {own['batch']}" if measurements.contract.batched else "median latency"
    beside = f"{comparison.TITLES[target.baseline]}: {baseline_p50}"
    return Figure(p50, name, beside, own["intervals"]["verdict"] == DISTURBED)


def _under_load(target: Target) -> list[Figure]:
    row, limits = target.selection["measured"], target.selection["limits"]
    memory = counted_memory_mb(row)
    rate = f"{row['throughput_per_s']:,.0f}/s" if row["throughput_per_s"] >= 100 else f"{row['throughput_per_s']:.1f}/s"
    used = f"; {memory:,.0f} MB of memory" if memory is not None else ""
    limit = "no limit" if limits["p99_ms"] is None else f"limit {limits['p99_ms']:g} ms"
    interval = row.get("p99_interval_ms") or []
    between = f"{' to '.join(map(milliseconds, interval))}; " if interval and None not in interval else ""
    return [
        Figure(rate, "answers under load", f"{row['concurrency']} in flight{used}", is_disturbed(row)),
        Figure(milliseconds(row["p99_ms"]), "p99 under load", f"{between}{limit}", is_disturbed(row)),
    ]


def _size(target: Target) -> Figure:
    size, onnx_size = target.chosen.build["bytes"], target.chosen.build["onnx_bytes"]
    return Figure(megabytes(size), "size of the engine", f"{size / onnx_size:.0%} of the FP32 ONNX file")


def _accuracy(target: Target, measurements: Measurements) -> Figure:
    record = target.chosen.accuracy
    if record["proven_on_labels"]:
        return Figure(*reporting.figure_of(record["evaluation"]))
    if record["metric"]:
        name, value = next(iter(record["metric"]["engine"].items()))
        of_baseline = readable(record["metric"]["pytorch"][name])
        return Figure(readable(value), name, f"{measurements.contract.baseline}: {of_baseline}")
    compared = record["evaluation"] or record["sample"]
    several = measurements.words.several if record["evaluation"] else measurements.words.first
    if shares := [compared[name] for name in AGREEMENTS if name in compared]:
        return Figure(f"{shares[0]:.1%}", "equal answers", f"to {several}; accuracy not measured")
    return Figure(
        f"{compared['relative_error']:.1e}", "relative error", f"to {measurements.contract.baseline}, {several}"
    )


def results(target: Target) -> tuple[dict, dict]:
    """Return two results of the benchmark's record at the smallest batch size: (of the chosen engine, of PyTorch).

    The second result is ONNX Runtime's if PyTorch does not run the model.
    """
    by_subject = {
        result["subject"]: result for result in target.benchmark["results"] if result["batch"] == target.smallest_batch
    }
    return by_subject[target.chosen.precision], by_subject[target.baseline]


def _times(ratio: dict) -> str:
    """Return the speed as a factor, such as "3.9 times (3.5 to 4.3)". `ratio` is `Target.latency_ratio`."""
    times, low, high = (readable(1 / ratio[end], 2) for end in ("median", "high", "low"))
    return f"{times} times" + (f" ({low} to {high})" if low != high else "")
