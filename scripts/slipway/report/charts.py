"""Draw the charts of the report page from the records of a target, a kind of GPU or CPU.

The baseline is the model in PyTorch or ONNX Runtime. A run is one measurement of the model, a line of its history.
"""

from collections.abc import Callable, Sequence

from slipway.benchmark.comparison import best_quantity, highest_throughput
from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED
from slipway.history.figures import Figure, served_figures
from slipway.history.lines import DEPLOYED, Run
from slipway.report import formats
from slipway.report.bar_charts import Bar, Stack, bars
from slipway.report.drawing import Drawing
from slipway.report.formats import milliseconds, moment
from slipway.report.headline import results
from slipway.report.measurements import CHANGES, Measurements, Target
from slipway.report.operators import KINDS, OTHER, by_kind
from slipway.report.xy_chart import Axis, Event, Point, Series, xy_chart

# {latency of `best_quantity`: its name in words}. On a GPU, latencies with and without a CUDA graph share one chart.
LATENCIES = {"gpu_graph": "on the GPU, in a CUDA graph if any", "gpu": "on the GPU", "end_to_end": "of the whole call"}

# The figures of a run that the page shows first, together with the latency of the smallest batch.
MAIN_FIGURES = ("throughput under load", "p99 under load", "size", "memory under load", "top-1 accuracy")
# The parts of the bars of `time_rows`, in the order of their colours.
KINDS_OF_PARTS = [*KINDS, OTHER, "engine", "queue", "batching, transport", "copies to and from the GPU"]


def latency_chart(target: Target, measurements: Measurements) -> Drawing:
    """Return a bar chart of the median latency (ms) of the baseline and each engine at each batch size."""
    results = target.benchmark["results"]
    quantities = {best_quantity(result["latency"]) for result in results}
    drawn = next(words for quantity, words in LATENCIES.items() if quantity in quantities)
    return bars(f"p50 latency in ms, {drawn}", "ms", _by_batch(target, measurements, _latency_of))


def throughput_chart(target: Target, measurements: Measurements) -> Drawing:
    """Return a bar chart of the inferences/s of the baseline and each engine at each batch size."""
    return bars("Inferences per second", "/s", _by_batch(target, measurements, _throughput_of))


def _by_batch(target: Target, measurements: Measurements, figure: Callable) -> dict[str, list[Bar]]:
    looks = {target.baseline: "baseline", "pytorch_fp16": "baseline", target.chosen.precision: "chosen"}
    groups: dict[str, list[Bar]] = {}
    for result in target.benchmark["results"]:
        name = f"batch {result['batch']}" if measurements.contract.batched else "single requests"
        bar = _bar(result, looks.get(result["subject"], "other"), *figure(result))
        groups.setdefault(name, []).append(bar)
    return groups


def _latency_of(result: dict) -> tuple[float, str, dict]:
    quantity = best_quantity(result["latency"])
    p50 = result["latency"][quantity]["p50_ms"]
    return p50, milliseconds(p50), result["intervals"]["p50_ms"][quantity]


def _throughput_of(result: dict) -> tuple[float, str, dict]:
    rate = highest_throughput(result)["inferences_per_s"]
    return rate, f"{readable(rate, 3)}/s", result["intervals"]["inferences_per_s"]


def _bar(result: dict, look: str, value: float, text: str, interval: dict) -> Bar:
    low, high, disturbed = interval["low"], interval["high"], result["intervals"]["verdict"] == DISTURBED
    between = f" ({readable(low)} to {readable(high)})" if low != high else ""
    hover = f"{result['subject']}: {text}{between}{', disturbed' if disturbed else ''}"
    return Bar(result["subject"].replace("_", " "), value, text, low, high, look, disturbed, hover)


def time_rows(target: Target, measurements: Measurements) -> list[Stack]:
    """Return bars (ms) of where the time of one inference goes: in the baseline, in the engine, and through Triton."""
    own, theirs = results(target)
    shares = by_kind(measurements.profile) or {"engine": 1.0}
    return [
        _whole(theirs, shares, measurements.contract.baseline),
        _whole(own, {"engine": 1.0}, own["subject"]),
        *_served(target),
    ]


def _whole(result: dict, shares: dict[str, float], title: str) -> Stack:
    """Return a bar (ms) for one call in process, without Triton, from the benchmark's result of one subject.

    Copies to and from the GPU are one part. `shares`, {part: share (0..1)}, divide the rest of the time.
    """
    latency = result["latency"]
    whole = latency["end_to_end"]["p50_ms"]
    copies = sum(latency[name]["p50_ms"] for name in ("h2d", "d2h") if name in latency)
    rest = max(whole - copies, 0.0)
    parts = {name: rest * share for name, share in shares.items()}
    parts |= {"copies to and from the GPU": copies} if copies else {}
    return Stack(f"{title}, in process", _coloured(parts), milliseconds(whole))


def _coloured(parts: dict[str, float]) -> list[tuple[str, float, int]]:
    return [(name, value, KINDS_OF_PARTS.index(name)) for name, value in parts.items()]


def _served(target: Target) -> list[Stack]:
    row = target.selection["measured"]
    if row.get("queue_ms") is None or not row.get("compute_ms"):
        return []
    rest = max(row["mean_ms"] - row["queue_ms"] - row["compute_ms"], 0.0)
    parts = _coloured({"engine": row["compute_ms"], "queue": row["queue_ms"], "batching, transport": rest})
    title = f"{row['precision']}, through Triton, {row['concurrency']} in flight"
    return [Stack(title, parts, f"{milliseconds(row['mean_ms'])} on average")]


def trends(target: Target, measurements: Measurements) -> dict[str, Drawing]:
    """Return {name of a figure: its chart over the measured runs of the model}, main figures first.

    The figures of a run are those of the engine that the run chose. A figure that fewer than two runs have is left out.
    """
    runs = [run for run in measurements.history.runs if target.name in run.targets]
    figures = [{figure.name: figure for figure in served_figures(run, target.name)} for run in runs]
    names = list(dict.fromkeys(name for of_run in figures for name in of_run))
    main = {*names[:1], *MAIN_FIGURES}
    charts = {
        name: trend(f"{target.name}: {name}", runs, [of_run.get(name) for of_run in figures], measurements)
        for name in sorted(names, key=lambda name: name not in main)
    }
    return {name: chart for name, chart in charts.items() if chart}


def trend(
    title: str, runs: Sequence[Run], figures: Sequence[Figure | None], measurements: Measurements
) -> Drawing | None:
    """Return the chart of a figure over the runs; None if fewer than two runs have the figure.

    `figures` has the figure of each of `runs`, or None. Triangles below a run mark deployments of the run (pointing up)
    and rollbacks to the run (pointing down).
    """
    known = [(index, figure) for index, figure in enumerate(figures) if figure]
    series = Series("", [point_of(index, runs[index], figure) for index, figure in known])
    days = Axis("", names=formats.days([run.when for run in runs]))
    events = [
        Event(index, change.action, change.action == DEPLOYED, f"{CHANGES[change.action]} {moment(change.when)}")
        for index, run in enumerate(runs)
        for change in measurements.history.deployments_of(run)
    ]
    figure = known[0][1]
    y = Axis("%", close_up=True) if figure.is_share else Axis(figure.unit)
    return xy_chart(title, days, y, [series], height=110, events=events)


def point_of(index: int, run: Run, figure: Figure) -> Point:
    """Return the figure of a run as a point of a trend, with its interval. A share is in percent.

    `index` is the place of the run on the x axis.
    """
    scale, unit = (100, "%") if figure.is_share else (1, figure.unit)
    low, high = (None if end is None else scale * end for end in (figure.low, figure.high))
    words = f"{run.name}, {moment(run.when)}: {readable(scale * figure.value)} {unit}"
    return Point(index, scale * figure.value, low, high, hover=words, disturbed=figure.disturbed)
