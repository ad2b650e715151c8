"""Compare the measurements of several subjects: ratios of latencies, throughputs and sizes.

A subject is a baseline ("pytorch", "pytorch_fp16", "onnxruntime") or an engine, by its precision.

A result is one subject at one batch size, one of "results" in the record of benchmark.py: {"subject", "batch",
"latency": {quantity: {"p50_ms", ...}}, "throughput_per_s": {streams: inferences/s}, "throughput_graph_per_s", "rounds"}
(see slipway.benchmark.rounds). A quantity is a kind of latency, such as "end_to_end" for the whole call.
"throughput_graph_per_s" is the throughput with a CUDA graph, or null. The ratio at one batch size is the median of the
rounds' ratios, with an interval {"median", "low", "high", "verdict"}.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.benchmark.rounds import interval, is_no_difference
from slipway.core.steadiness import DISTURBED

PYTORCH = "pytorch"
PYTORCH_FP16 = "pytorch_fp16"
ONNX_RUNTIME = "onnxruntime"
# {baseline: its name in sentences}
TITLES = {PYTORCH: "PyTorch", ONNX_RUNTIME: "ONNX Runtime"}
QUANTITIES = ("gpu", "gpu_graph", "end_to_end", "end_to_end_graph")
# The first latency in this list that a subject has represents the subject.
BEST_FIRST = ("gpu_graph", "gpu", "end_to_end")


def baseline_of(subjects: Iterable[str]) -> str:
    """Return the baseline of comparisons: "pytorch", or "onnxruntime" if the model is an ONNX file alone.

    `subjects` are the names of all measured subjects.
    """
    return PYTORCH if PYTORCH in subjects else ONNX_RUNTIME


def _latencies_compared(result: dict, baseline: dict) -> dict[str, dict]:
    """Return {kind of latency: interval of the ratio of the p50}, for each kind that both results have.

    If the baseline has a CUDA graph, its latency with the graph is used, even for the subject's latency without a
    graph.
    """
    ratios = {}
    for quantity in QUANTITIES:
        plain = quantity.removesuffix("_graph")
        of_baseline = next((name for name in (f"{plain}_graph", plain) if name in baseline["latency"]), None)
        if quantity in result["latency"] and of_baseline:
            ratios[quantity] = _ratio(result, baseline, _p50s(result, quantity), _p50s(baseline, of_baseline))
    return ratios


def _ratio(result: dict, baseline: dict, own: list[float], others: list[float]) -> dict:
    """Return {"median", "low", "high", "verdict"} of the ratios own / others, one ratio for each round.

    `own` are the figures of `result` in its rounds, `others` those of `baseline`.
    """
    ratios = [one / other for one, other in zip(own, others, strict=True)]
    return interval(ratios, _waiting(result) + _waiting(baseline))


def _p50s(result: dict, quantity: str) -> list[float]:
    return [figures["p50_ms"][quantity] for figures in result["rounds"]]


def _rates(result: dict) -> list[float]:
    """Return the inferences/s of a result in each round, with the number of streams that is fastest over all rounds.

    Those with a CUDA graph are returned if they are faster.
    """
    highest = highest_throughput(result)
    kind = "throughput_graph_per_s" if highest["graph"] else "throughput_per_s"
    return [figures["rates"][kind][str(highest["streams"])] for figures in result["rounds"]]


def _waiting(result: dict) -> list[float | None]:
    """Return, for each round, the share (0..1) of the time that the process waited for a CPU; None if unknown."""
    return [figures["cpu_waiting"] for figures in result["rounds"]]


def intervals(result: dict) -> dict:
    """Return {"p50_ms": {kind of latency: interval}, "inferences_per_s": interval, "verdict"} of a benchmark's result.

    An interval is {"median", "low", "high", "verdict"} over the rounds. The verdict is "disturbed" if the throughput,
    or the latency that represents the subject (see `best_quantity`), is disturbed; otherwise "steady".
    """
    waiting = _waiting(result)
    latencies = {quantity: interval(_p50s(result, quantity), waiting) for quantity in result["latency"]}
    rate = interval(_rates(result), waiting)
    return {"p50_ms": latencies, "inferences_per_s": rate, "verdict": worst(latencies[best_quantity(latencies)], rate)}


def worst(*figures: Mapping[str, Any]) -> str:
    """Return "disturbed" if the "verdict" of one of the figures is "disturbed", else "steady"."""
    return max((figure["verdict"] for figure in figures), key=DISTURBED.__eq__)


def ratio_in_words(ratio: float, span: Mapping[str, Any]) -> str:
    """Return a ratio in words, such as "0.68 (0.65 to 0.70, disturbed)".

    `span` has the ratio's interval and verdict, {"low", "high", "verdict"}.
    """
    is_single = span["low"] == span["high"]  # a single round has no interval
    remarks = [] if is_single else [f"{span['low']:.2f} to {span['high']:.2f}"]
    remarks += ["no difference"] if is_no_difference(span) else []
    remarks += [DISTURBED] if span["verdict"] == DISTURBED else []
    return f"{ratio:.2f} ({', '.join(remarks)})" if remarks else f"{ratio:.2f}"


def best_quantity(latency: dict) -> str:
    """Return which latency represents a subject: the first of "gpu_graph", "gpu", "end_to_end" that it has.

    `latency` is {kind of latency: ...}. On a GPU, the first two are without copies; "end_to_end" is the whole call.
    """
    return next(name for name in BEST_FIRST if name in latency)


def highest_throughput(result: Mapping[str, Any]) -> dict:
    """Return {"inferences_per_s", "streams", "graph"} of the fastest setup in a benchmark's result.

    "streams" is the number of CUDA streams, "graph" says whether a CUDA graph was replayed.
    """
    throughputs = [("throughput_per_s", False), ("throughput_graph_per_s", True)]
    rates = [
        {"inferences_per_s": rate, "streams": int(streams), "graph": graph}
        for name, graph in throughputs
        for streams, rate in (result.get(name) or {}).items()
    ]
    return max(rates, key=lambda entry: entry["inferences_per_s"])


def compare(results: Sequence[dict]) -> dict:
    """Compare each subject with the baselines at each batch size. `results` are "results" in the benchmark's record.

    Returns {subject: {batch: {baseline: {"p50": {kind of latency: ratio}, "throughput": ratio, "intervals"}}}}. A ratio
    is the subject's figure / the baseline's figure. "intervals" has the interval of each ratio. The baselines are the
    subject that `baseline_of` returns and, if it was measured, PyTorch in FP16.
    """
    main = baseline_of({result["subject"] for result in results})
    results_by_subject = {(result["subject"], result["batch"]): result for result in results}
    ratios: dict[str, dict] = {}
    for (subject, batch), result in results_by_subject.items():
        for baseline in (main, PYTORCH_FP16):
            if subject not in (baseline, main) and (baseline, batch) in results_by_subject:
                reference = results_by_subject[baseline, batch]
                ratios.setdefault(subject, {}).setdefault(str(batch), {})[baseline] = _compared(result, reference)
    return ratios


def _compared(result: dict, reference: dict) -> dict:
    """Compare a subject's result with the result of a baseline, `reference`, at the same batch size.

    Returns {"p50": {kind of latency: ratio}, "throughput": ratio, "intervals"}. A ratio is subject / baseline.
    """
    latencies = _latencies_compared(result, reference)
    rate = _ratio(result, reference, _rates(result), _rates(reference))
    return {
        "p50": {name: ratio["median"] for name, ratio in latencies.items()},
        "throughput": rate["median"],
        "intervals": {"p50": latencies, "throughput": rate},
    }


def is_disturbed(compared: dict) -> bool:
    """Say whether the latency ratio or the throughput ratio of a subject to a baseline is disturbed.

    `compared` is {"p50", "throughput", "intervals"}, from `compare`.
    """
    spans = compared["intervals"]
    return worst(spans["p50"][best_quantity(spans["p50"])], spans["throughput"]) == DISTURBED


def best_throughput(results: Sequence[dict]) -> dict[str, dict]:
    """Return each subject's fastest setup, {subject: {"batch", "inferences_per_s", "streams", "graph", "interval"}}.

    `results` are "results" in the benchmark's record. "streams" is the number of CUDA streams, "graph" says whether a
    CUDA graph was replayed, and "interval" is that of the inferences/s.
    """
    best: dict[str, dict] = {}
    for result in results:
        rate = {"interval": result["intervals"]["inferences_per_s"]}
        highest = {"batch": result["batch"], **highest_throughput(result), **rate}
        if highest["inferences_per_s"] > best.get(result["subject"], {"inferences_per_s": 0})["inferences_per_s"]:
            best[result["subject"]] = highest
    return best


def best_throughput_ratios(best: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Return {subject: {other subject: ratio}} of the highest throughputs in `best`, which `best_throughput` returns.

    Each throughput is at the best batch size of its subject.
    """
    rates = {subject: highest["inferences_per_s"] for subject, highest in best.items()}
    return {
        subject: {other: round(rate / rates[other], 4) for other in rates if other != subject}
        for subject, rate in rates.items()
    }


def best_throughput_intervals(best: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Return {subject: {other subject: {"low", "high", "verdict"}}} of the ratios of `best_throughput_ratios`.

    `best` is from `best_throughput`. Two throughputs may be of different batch sizes, and so of different rounds. So in
    every case "low" is the subject's lowest throughput / the other's highest, and "high" is the subject's highest /
    the other's lowest. "verdict" is the worse of the two subjects' verdicts, such as "steady" or "disturbed".
    """
    spans = {subject: highest["interval"] for subject, highest in best.items()}
    return {
        subject: {
            other: {
                "low": round(own["low"] / theirs["high"], 4),
                "high": round(own["high"] / theirs["low"], 4),
                "verdict": worst(own, theirs),
            }
            for other, theirs in spans.items()
            if other != subject
        }
        for subject, own in spans.items()
    }
