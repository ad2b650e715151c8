"""Compare the measurements of several subjects: ratios of latencies, throughputs and sizes.

A result is one subject at one batch size: {"subject", "batch", "latency": {quantity: {"p50_ms", ...}},
"throughput_per_s": {streams: inferences/s}, "throughput_graph_per_s": the same for a CUDA graph, or null}.
"""

from collections.abc import Sequence

PYTORCH = "pytorch"
PYTORCH_FP16 = "pytorch_fp16"
BASELINES = (PYTORCH, PYTORCH_FP16)
QUANTITIES = ("gpu", "gpu_graph", "end_to_end", "end_to_end_graph")
# Latencies in order of preference: the first one that a subject has represents it.
BEST_FIRST = ("gpu_graph", "gpu", "end_to_end")
# The promises of the tutorial from which this project grew, for an engine on one GPU.
PROMISED = {"latency_over_pytorch": 0.2, "bytes_over_fp32_onnx": 0.5}


def latency_ratios(result: dict, baseline: dict) -> dict[str, float]:
    """Return {quantity: p50 over the baseline's p50} for each quantity that both have.

    The baseline's p50 is that of its CUDA graph, if it has one, even if the subject ran without a graph.
    """
    ratios = {}
    for quantity in QUANTITIES:
        plain = quantity.removesuffix("_graph")
        reference = baseline["latency"].get(f"{plain}_graph") or baseline["latency"].get(plain)
        if quantity in result["latency"] and reference:
            ratios[quantity] = round(result["latency"][quantity]["p50_ms"] / reference["p50_ms"], 4)
    return ratios


def best_quantity(latency: dict) -> str:
    """Return the quantity that represents a subject: "gpu_graph", else "gpu", else "end_to_end" (the whole call)."""
    return next(name for name in BEST_FIRST if name in latency)


def highest_throughput(result: dict) -> dict:
    """Return {"inferences_per_s", "streams", "graph"} of a subject's fastest setup at one batch size."""
    throughputs = [("throughput_per_s", False), ("throughput_graph_per_s", True)]
    rates = [
        {"inferences_per_s": rate, "streams": int(streams), "graph": graph}
        for name, graph in throughputs
        for streams, rate in (result.get(name) or {}).items()
    ]
    return max(rates, key=lambda entry: entry["inferences_per_s"])


def compare(results: Sequence[dict]) -> dict:
    """Return {subject: {batch: {baseline: {"p50": latency ratios, "throughput": ratio}}}} over PyTorch baselines."""
    results_by_subject = {(result["subject"], result["batch"]): result for result in results}
    ratios: dict[str, dict] = {}
    for (subject, batch), result in results_by_subject.items():
        for baseline in BASELINES:
            if subject not in (baseline, PYTORCH) and (baseline, batch) in results_by_subject:
                reference = results_by_subject[baseline, batch]
                rates = [highest_throughput(entry)["inferences_per_s"] for entry in (result, reference)]
                ratios.setdefault(subject, {}).setdefault(str(batch), {})[baseline] = {
                    "p50": latency_ratios(result, reference),
                    "throughput": round(rates[0] / rates[1], 4),
                }
    return ratios


def best_throughput(results: Sequence[dict]) -> dict[str, dict]:
    """Return each subject's fastest setup: {subject: {"batch", "inferences_per_s", "streams", "graph"}}.

    A subject is PyTorch or an engine. "graph" says whether a CUDA graph was replayed.
    """
    best: dict[str, dict] = {}
    for result in results:
        highest = {"batch": result["batch"], **highest_throughput(result)}
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


def tutorial(results: Sequence[dict], bytes_over_onnx: dict[str, float]) -> dict:
    """Return {"promised", "batch", "measured": {engine: ratios}}, at the smallest measured batch size.

    `bytes_over_onnx` is {engine: ratio of sizes}. The latency is the GPU's, in a CUDA graph if there is one; on a CPU
    it is the whole call's.
    """
    batch = min(result["batch"] for result in results)
    ratios = compare([result for result in results if result["batch"] == batch])
    measured = {}
    for engine, size in bytes_over_onnx.items():
        latency = ratios[engine][str(batch)][PYTORCH]["p50"]
        quantity = best_quantity(latency)
        measured[engine] = {
            "latency_over_pytorch": latency[quantity],
            "quantity": quantity,
            "bytes_over_fp32_onnx": size,
        }
    return {"promised": PROMISED, "batch": batch, "measured": measured}
