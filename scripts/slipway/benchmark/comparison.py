"""Compare the measurements of several subjects: ratios of latencies, throughputs and sizes.

A result is one subject at one batch size: {"subject", "batch", "latency": {quantity: {"p50_ms", ...}},
"throughput_per_s": {streams: inferences/s}, "throughput_graph_per_s": the same for a CUDA graph, or null}. Results that
were measured in turns have "rounds" (see slipway.benchmark.rounds). Then the ratio at one batch size is the median of
the rounds' ratios, with an interval.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.benchmark.rounds import DISTURBED, interval, is_no_difference

PYTORCH = "pytorch"
PYTORCH_FP16 = "pytorch_fp16"
ONNX_RUNTIME = "onnxruntime"
# {baseline: its name in sentences}
TITLES = {PYTORCH: "PyTorch", ONNX_RUNTIME: "ONNX Runtime"}
QUANTITIES = ("gpu", "gpu_graph", "end_to_end", "end_to_end_graph")
# Latencies in order of preference: the first one that a subject has represents it.
BEST_FIRST = ("gpu_graph", "gpu", "end_to_end")
# The promises of the tutorial from which this project grew, for an engine on one GPU.
PROMISED = {"latency_over_pytorch": 0.2, "bytes_over_fp32_onnx": 0.5}


def baseline_of(subjects: Iterable[str]) -> str:
    """Return the baseline of comparisons: PyTorch, or ONNX Runtime if the model is an ONNX file alone."""
    return PYTORCH if PYTORCH in subjects else ONNX_RUNTIME


def latency_ratios(result: dict, baseline: dict) -> dict[str, float]:
    """Return {quantity: p50 over the baseline's p50} for each quantity that both have."""
    return {quantity: ratio for quantity, (ratio, _) in _latencies_compared(result, baseline).items()}


def _latencies_compared(result: dict, baseline: dict) -> dict[str, tuple[float, dict | None]]:
    """Return {quantity: (ratio of the p50, its interval or None)} for each quantity that both have.

    The baseline's CUDA graph is taken, if it has one, even if the subject ran without a graph.
    """
    ratios = {}
    for quantity in QUANTITIES:
        plain = quantity.removesuffix("_graph")
        of_baseline = next((name for name in (f"{plain}_graph", plain) if name in baseline["latency"]), None)
        if quantity in result["latency"] and of_baseline:
            ratios[quantity] = _ratio(result, baseline, _p50s(result, quantity), _p50s(baseline, of_baseline))
    return ratios


def _ratio(result: dict, baseline: dict, own: list[float], others: list[float]) -> tuple[float, dict | None]:
    """Return the ratio of figures, and its interval if they come from rounds."""
    ratios = [one / other for one, other in zip(own, others, strict=True)]
    if "rounds" not in result:
        return round(ratios[0], 4), None
    found = interval(ratios, waiting_of(result) + waiting_of(baseline))
    return found["median"], found


def _p50s(result: dict, quantity: str) -> list[float]:
    """Return the p50 (ms) of each round; without rounds, the only one."""
    rounds = result.get("rounds") or [{"p50_ms": {quantity: result["latency"][quantity]["p50_ms"]}}]
    return [each["p50_ms"][quantity] for each in rounds]


def _rates(result: dict) -> list[float]:
    """Return the inferences/s of each round, in the setup that is the fastest of all rounds."""
    highest = highest_throughput(result)
    kind = "throughput_graph_per_s" if highest["graph"] else "throughput_per_s"
    rounds = result.get("rounds") or [{"rates": {kind: result[kind]}}]
    return [each["rates"][kind][str(highest["streams"])] for each in rounds]


def waiting_of(result: dict) -> list[float | None]:
    """Return the share of each round that the process waited for a CPU."""
    return [each["cpu_waiting"] for each in result.get("rounds", [])]


def intervals(result: dict) -> dict:
    """Return {"p50_ms": {quantity: interval}, "inferences_per_s": interval, "verdict"} of a result with rounds.

    The verdict is about the throughput, and the quantity that represents the subject.
    """
    waiting = waiting_of(result)
    latencies = {quantity: interval(_p50s(result, quantity), waiting) for quantity in result["latency"]}
    rate = interval(_rates(result), waiting)
    verdicts = (latencies[best_quantity(result["latency"])]["verdict"], rate["verdict"])
    return {"p50_ms": latencies, "inferences_per_s": rate, "verdict": worst(verdicts)}


def worst(verdicts: Sequence[str]) -> str:
    """Return "disturbed" if any of the verdicts is."""
    return DISTURBED if DISTURBED in verdicts else verdicts[0]


def ratio_in_words(ratio: float, found: Mapping[str, Any] | None = None) -> str:
    """Return a ratio in words, such as "0.68 (0.65 to 0.70)", with its interval and verdict if they are known."""
    if not found:
        return f"{ratio:.2f}"
    is_single = found["low"] == found["high"]  # of one round, which has no interval
    remarks = [] if is_single else [f"{found['low']:.2f} to {found['high']:.2f}"]
    remarks += ["no difference"] if is_no_difference(found) else []
    remarks += [DISTURBED] if found["verdict"] == DISTURBED else []
    return f"{ratio:.2f} ({', '.join(remarks)})" if remarks else f"{ratio:.2f}"


def best_quantity(latency: dict) -> str:
    """Return the quantity that represents a subject: the first of "gpu_graph", "gpu", "end_to_end" (the whole call)."""
    return next(name for name in BEST_FIRST if name in latency)


def highest_throughput(result: Mapping[str, Any]) -> dict:
    """Return {"inferences_per_s", "streams", "graph"} of a subject's fastest setup at one batch size."""
    throughputs = [("throughput_per_s", False), ("throughput_graph_per_s", True)]
    rates = [
        {"inferences_per_s": rate, "streams": int(streams), "graph": graph}
        for name, graph in throughputs
        for streams, rate in (result.get(name) or {}).items()
    ]
    return max(rates, key=lambda entry: entry["inferences_per_s"])


def compare(results: Sequence[dict]) -> dict:
    """Return {subject: {batch: {baseline: {"p50": latency ratios, "throughput": ratio}}}}.

    The baselines are `baseline_of`, and PyTorch in FP16 if it was measured. Results with rounds add "intervals", with
    the same keys "p50" and "throughput".
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
    """Return the ratios of one subject to one baseline, with their intervals if there are rounds."""
    latencies = _latencies_compared(result, reference)
    rate, rate_interval = _ratio(result, reference, _rates(result), _rates(reference))
    ratios = {"p50": {name: ratio for name, (ratio, _) in latencies.items()}, "throughput": rate}
    if rate_interval is None:
        return ratios
    spans = {"p50": {name: found for name, (_, found) in latencies.items()}, "throughput": rate_interval}
    return {**ratios, "intervals": spans}


def is_disturbed(compared: dict) -> bool:
    """Say whether a subject's latency or throughput over a baseline's (see `compare`) is disturbed."""
    spans = compared.get("intervals")
    if not spans:
        return False
    return DISTURBED in (spans["p50"][best_quantity(spans["p50"])]["verdict"], spans["throughput"]["verdict"])


def best_throughput(results: Sequence[dict]) -> dict[str, dict]:
    """Return each subject's fastest setup: {subject: {"batch", "inferences_per_s", "streams", "graph"}}.

    A subject is a baseline or an engine. "graph" says whether a CUDA graph was replayed. Results with rounds add the
    "interval" of the throughput.
    """
    best: dict[str, dict] = {}
    for result in results:
        highest = {"batch": result["batch"], **highest_throughput(result)}
        if "intervals" in result:
            highest["interval"] = result["intervals"]["inferences_per_s"]
        if highest["inferences_per_s"] > best.get(result["subject"], {"inferences_per_s": 0})["inferences_per_s"]:
            best[result["subject"]] = highest
    return best


def best_throughput_ratios(best: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Return {subject: {other subject: ratio}} of the throughputs, each at its own best batch size."""
    rates = {subject: highest["inferences_per_s"] for subject, highest in best.items()}
    return {
        subject: {other: round(rate / rates[other], 4) for other in rates if other != subject}
        for subject, rate in rates.items()
    }


def best_throughput_intervals(best: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Return {subject: {other subject: interval}} of `best_throughput_ratios`.

    Other batch sizes were not measured in the same rounds. So the interval is wider: from the lowest over the other's
    highest throughput to the opposite.
    """
    spans = {subject: highest["interval"] for subject, highest in best.items() if "interval" in highest}
    return {
        subject: {
            other: {
                "low": round(own["low"] / theirs["high"], 4),
                "high": round(own["high"] / theirs["low"], 4),
                "verdict": worst([own["verdict"], theirs["verdict"]]),
            }
            for other, theirs in spans.items()
            if other != subject
        }
        for subject, own in spans.items()
    }


def tutorial(results: Sequence[dict], bytes_over_onnx: dict[str, float]) -> dict:
    """Return {"promised", "batch", "measured": {engine: ratios}}, at the smallest measured batch size.

    `bytes_over_onnx` is {engine: ratio of sizes}. The latency is compared with `baseline_of`. On a GPU it is the GPU's
    time, in a CUDA graph if there is one; on a CPU it is the time of the whole call.
    """
    batch = min(result["batch"] for result in results)
    ratios = compare([result for result in results if result["batch"] == batch])
    main = baseline_of({result["subject"] for result in results})
    measured = {}
    for engine, size in bytes_over_onnx.items():
        compared = ratios[engine][str(batch)][main]
        quantity = best_quantity(compared["p50"])
        measured[engine] = {
            f"latency_over_{main}": compared["p50"][quantity],
            "quantity": quantity,
            "bytes_over_fp32_onnx": size,
        }
        if "intervals" in compared:
            measured[engine]["interval"] = compared["intervals"]["p50"][quantity]
    return {"promised": PROMISED, "batch": batch, "measured": measured}
