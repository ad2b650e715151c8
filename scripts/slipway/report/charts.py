"""The charts of the page, from the records of a target."""

from markupsafe import Markup

from slipway.benchmark.comparison import best_quantity, highest_throughput
from slipway.benchmark.rounds import DISTURBED
from slipway.history.lines import DEPLOYED, ROLLED_BACK, Run
from slipway.load_test.limits import configuration_in_words, counted_memory_mb, is_disturbed
from slipway.report.bar_charts import Bar, Stack, bars, stacks
from slipway.report.formats import day, milliseconds, moment
from slipway.report.headline import baseline_of
from slipway.report.measurements import Measurements, Target
from slipway.report.operators import by_kind
from slipway.report.point_charts import Moment, Point, Series, points, trend
from slipway.report.scales import number

# {quantity of `best_quantity`: its words}. On a GPU, latencies with and without a CUDA graph share one chart.
LATENCIES = {"gpu_graph": "on the GPU, in a CUDA graph if any", "gpu": "on the GPU", "end_to_end": "of the whole call"}


def latency_chart(target: Target, evidence: Measurements) -> Markup:
    """Return the median latency of the baseline and of each engine, by batch size, with intervals."""
    results = target.benchmark["results"]
    quantities = {best_quantity(result["latency"]) for result in results}
    drawn = next(words for quantity, words in LATENCIES.items() if quantity in quantities)
    return bars(f"p50 latency in ms, {drawn}", "ms", _by_batch(target, evidence, _latency_bar))


def throughput_chart(target: Target, evidence: Measurements) -> Markup:
    """Return the inferences per second of the baseline and of each engine, by batch size, with intervals."""
    return bars("Inferences per second", "/s", _by_batch(target, evidence, _throughput_bar))


def _by_batch(target: Target, evidence: Measurements, bar) -> dict[str, list[Bar]]:  # noqa: ANN001
    groups: dict[str, list[Bar]] = {}
    for result in target.benchmark["results"]:
        name = f"batch {result['batch']}" if evidence.contract.batched else "single requests"
        groups.setdefault(name, []).append(bar(result, _look(result["subject"], target)))
    return groups


def _look(subject: str, target: Target) -> str:
    if subject == target.chosen.precision:
        return "chosen"
    return "baseline" if subject in (baseline_of(target), "pytorch_fp16") else "other"


def _latency_bar(result: dict, look: str) -> Bar:
    quantity = best_quantity(result["latency"])
    p50 = result["latency"][quantity]["p50_ms"]
    spans = result.get("intervals", {}).get("p50_ms", {}).get(quantity, {})
    return _bar(result, look, p50, milliseconds(p50), spans)


def _throughput_bar(result: dict, look: str) -> Bar:
    rate = highest_throughput(result)["inferences_per_s"]
    return _bar(result, look, rate, f"{number(rate)}/s", result.get("intervals", {}).get("inferences_per_s", {}))


def _bar(result: dict, look: str, value: float, text: str, spans: dict) -> Bar:
    low, high = spans.get("low"), spans.get("high")
    disturbed = result.get("intervals", {}).get("verdict") == DISTURBED
    between = f" ({low:,.4g} to {high:,.4g})" if low and high and low != high else ""
    hover = f"{result['subject']}: {text}{between}{', disturbed' if disturbed else ''}"
    return Bar(result["subject"].replace("_", " "), value, text, low, high, look, disturbed, hover)


def load_chart(target: Target) -> Markup | None:
    """Return the throughput of each measured configuration against its p99 latency."""
    limit = target.selection["limits"]["p99_ms"]
    return points(
        "Throughput against latency under load",
        "p99 latency in ms",
        "answers per second",
        _series(target, lambda row: row["throughput_per_s"], "/s"),
        limit,
    )


def memory_chart(target: Target) -> Markup | None:
    """Return the memory of each measured configuration against its p99 latency; None if it was not measured."""
    where = "memory of the GPU" if "gpu_memory_mb" in target.selection["measured"] else "memory"
    series = _series(target, counted_memory_mb, " MB")
    title = f"{where[:1].upper()}{where[1:]} against latency under load"
    return points(title, "p99 latency in ms", f"{where} in MB", series, target.selection["limits"]["p99_ms"])


def _series(target: Target, figure, unit: str) -> list[Series]:  # noqa: ANN001
    """Return the rows of the load test by precision; rows of one configuration are joined."""
    series = []
    for order, precision in enumerate(dict.fromkeys(row["precision"] for row in target.load_test["measurements"])):
        rows = [row for row in target.load_test["measurements"] if row["precision"] == precision]
        rows = [row for row in rows if figure(row) is not None and row.get("concurrency")]
        if rows:
            drawn = [_point(row, figure(row), unit, target) for row in rows]
            series.append(Series(precision, drawn, order + 1, _joined(rows)))
    return series


def _joined(rows: list[dict]) -> list[list[int]]:
    """Return the indices of the rows of each configuration, with more and more requests in flight."""
    lines: dict[tuple, list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda index: rows[index]["concurrency"]):
        row = rows[index]
        lines.setdefault((row["instances"], row["max_batch_size"], row.get("queue_delay_us")), []).append(index)
    return list(lines.values())


def _point(row: dict, value: float, unit: str, target: Target) -> Point:
    windows = row.get("windows_per_s") if unit == "/s" else None
    told = (
        f"{row['precision']}, {configuration_in_words(row)}, {row['concurrency']} in flight: "
        f"{value:,.4g}{unit} at p99 {milliseconds(row['p99_ms'])}"
    )
    spans = (min(windows), max(windows)) if windows else (None, None)
    chosen = row == target.selection["measured"]
    disturbed = is_disturbed(row)
    return Point(row["p99_ms"], value, *spans, told + (", disturbed" if disturbed else ""), disturbed, chosen)


def time_rows(target: Target, evidence: Measurements) -> list[Stack]:
    """Return where the time of one inference goes: in the model itself, in the engine, and through Triton."""
    batch = target.benchmark["tutorial"]["batch"]
    own, theirs = (
        next(each for each in target.benchmark["results"] if (each["subject"], each["batch"]) == (subject, batch))
        for subject in (target.chosen.precision, baseline_of(target))
    )
    rows = [_whole(theirs, by_kind(evidence.profile), evidence.contract.baseline), _whole(own, {}, own["subject"])]
    return [*rows, *_served(target)]


def _whole(result: dict, shares: dict[str, float], title: str) -> Stack:
    """Return the whole call in parts: transfers where there are some, and the shares of the profile."""
    latency = result["latency"]
    whole = latency["end_to_end"]["p50_ms"]
    copies = sum(latency[name]["p50_ms"] for name in ("h2d", "d2h") if name in latency)
    rest = max(whole - copies, 0.0)
    parts = [(name, rest * share, KINDS_OF_PARTS.index(name)) for name, share in shares.items()]
    parts = parts or [("engine", rest, KINDS_OF_PARTS.index("engine"))]
    parts += [("copies to and from the GPU", copies, KINDS_OF_PARTS.index("copies"))] if copies else []
    return Stack(f"{title}, in process", parts, milliseconds(whole))


# The parts of the bars, in the order of their colours.
KINDS_OF_PARTS = [
    *("convolutions", "matrix products", "normalisations", "activations", "other operators", "engine"),
    *("queue", "batching, transport", "copies"),
]


def _served(target: Target) -> list[Stack]:
    row = target.selection["measured"]
    if row.get("queue_ms") is None or not row.get("compute_ms"):
        return []
    rest = max(row["mean_ms"] - row["queue_ms"] - row["compute_ms"], 0.0)
    parts = [
        (name, value, KINDS_OF_PARTS.index(name))
        for name, value in (("engine", row["compute_ms"]), ("queue", row["queue_ms"]), ("batching, transport", rest))
    ]
    in_flight = f", {row['concurrency']} in flight" if row.get("concurrency") else ""
    return [
        Stack(f"{row['precision']}, through Triton{in_flight}", parts, f"{milliseconds(row['mean_ms'])} on average")
    ]


def time_chart(target: Target, evidence: Measurements) -> Markup:
    """Return `time_rows` as bars on one scale."""
    return stacks("Where the time of an answer goes", "ms", time_rows(target, evidence))


def trends(target: Target, evidence: Measurements) -> dict[str, Markup]:
    """Return {title: the course of a figure over the runs} for each figure that at least two runs have."""
    runs = [run for run in evidence.history.runs if target.name in run.targets]
    charts = {}
    for title, (unit, figure) in _TRENDS.items():
        moments = [_moment(run, figure(run, target.name), unit, evidence) for run in runs]
        if chart := trend(f"{target.name}: {title}", unit, moments):
            charts[title] = chart
    return charts


def _smallest_batch(run: Run, target: str) -> dict:
    batches = run.served(target)["batches"]
    return batches[min(batches, key=int)]


def _selected(run: Run, target: str) -> dict:
    return run.targets[target]["selection"]


def _plain(value: float | None, scale: float = 1.0, verdict: str = "steady") -> dict:
    return {"value": None if value is None else value * scale, "low": None, "high": None, "verdict": verdict}


# {title: (unit, function that returns {"value", "low", "high", "verdict"} of a run's served engine)}
_TRENDS = {
    "median latency, smallest batch": (
        "ms",
        lambda run, name: _smallest_batch(run, name)["latency_ms"] | {"verdict": _smallest_batch(run, name)["verdict"]},
    ),
    "answers per second under load": (
        "/s",
        lambda run, name: _selected(run, name)["throughput_per_s"] | {"verdict": _selected(run, name)["verdict"]},
    ),
    "p99 latency under load": (
        "ms",
        lambda run, name: _plain(_selected(run, name)["p99_ms"], verdict=_selected(run, name)["verdict"]),
    ),
    "size of the engine": ("MB", lambda run, name: _plain(run.served(name)["bytes"], 1e-6)),
    "memory under load": ("MB", lambda run, name: _plain(_selected(run, name)["memory_mb"])),
    "top-1 accuracy": ("%", lambda run, name: _plain(run.served(name)["accuracy"]["top1"], 100)),
}


def _moment(run: Run, figure: dict, unit: str, evidence: Measurements) -> Moment:
    events = [
        (
            change.action,
            f"{'rolled back to this' if change.action == ROLLED_BACK else 'deployed'}: {moment(change.when)}",
        )
        for change in evidence.history.deployments_of(run)
        if change.action in (DEPLOYED, ROLLED_BACK)
    ]
    value = figure["value"]
    hover = f"{run.name}, {moment(run.when)}" + ("" if value is None else f": {value:,.4g} {unit}")
    disturbed = figure["verdict"] == DISTURBED
    return Moment(day(run.when), value, figure["low"], figure["high"], hover, disturbed, tuple(events))
