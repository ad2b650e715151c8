"""The charts of the report as SVG. Their bytes depend only on the figures."""

import io

import matplotlib
from matplotlib.figure import Figure

from slipway.benchmark.comparison import best_quantity, highest_throughput
from slipway.benchmark.rounds import DISTURBED
from slipway.report.measurements import Measurements, Target

# Text stays text, and the ids of elements are reproducible.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "slipway", "font.family": "sans-serif"})

# {quantity of `best_quantity`: its words}. On a GPU, latencies with and without a CUDA graph share one chart.
LATENCIES = {"gpu_graph": "on the GPU, in a CUDA graph if any", "gpu": "on the GPU", "end_to_end": "of the whole call"}


def benchmark_chart(target: Target, evidence: Measurements) -> str:
    """Return latency and throughput by batch size, a line for PyTorch and for each engine, as an <svg> element."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    results = target.benchmark["results"]
    for subject in dict.fromkeys(result["subject"] for result in results):
        of_subject = [result for result in results if result["subject"] == subject]
        batches = [result["batch"] for result in of_subject]
        p50_ms = [latency[best_quantity(latency)]["p50_ms"] for latency in (result["latency"] for result in of_subject)]
        is_disturbed = any(result.get("intervals", {}).get("verdict") == DISTURBED for result in of_subject)
        left.plot(batches, p50_ms, "o-", label=f"{subject} ({DISTURBED})" if is_disturbed else subject)
        rates = [highest_throughput(result)["inferences_per_s"] for result in of_subject]
        right.plot(batches, rates, "o-", label=subject)
    quantities = {best_quantity(result["latency"]) for result in results}
    drawn = next(words for quantity, words in LATENCIES.items() if quantity in quantities)
    left.set(title=f"p50 latency in ms, {drawn}", yscale="log")
    right.set(title="inferences per second", ylim=(0, None))
    for axes in (left, right):
        if evidence.contract.batched:
            axes.set_xscale("log", base=2)
            axes.set(xlabel="batch size", xticks=target.benchmark["key"]["batch_sizes"])
            axes.xaxis.set_major_formatter("{x:g}")
        else:
            axes.set(xlabel="single requests", xticks=[])
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()[file.getvalue().index("<svg") :]  # without the declarations of a file
