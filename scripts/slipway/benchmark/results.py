"""The results of a benchmark: each subject's figures at one batch size, the ratios between them, and lines of text.

A subject is a baseline, such as "pytorch", or an engine, by its precision.
"""

from collections.abc import Mapping

from slipway.benchmark import comparison
from slipway.benchmark.gpu_monitor import summarise_readings
from slipway.benchmark.rounds import ROUNDS, merged
from slipway.benchmark.timing import distribution
from slipway.core.steadiness import DISTURBED
from slipway.engines.engine_artifact import BuiltEngine


def results_of(batch: int, rounds: Mapping[str, list[dict]], min_samples: int) -> list[dict]:
    """Return the result of each subject at one batch size, from its measurements in several rounds.

    `rounds` is {subject: measurements}, from `take_turns`. A result has the keys of `result_of`, "intervals" (see
    `comparison.intervals`), and "not_reached": sentences such as "3 of 5 rounds", if the time did not suffice for all
    rounds, or for `min_samples` of each latency.
    """
    results = []
    for name, figures in rounds.items():
        readings = [reading for measurement in figures for reading in measurement["gpu_readings"]]
        result = result_of(name, batch, merged(figures), summarise_readings(readings) if readings else None)
        fewest = min(latency["count"] for latency in result["latency"].values())
        counts = {"rounds": (len(figures), ROUNDS), "samples": (fewest, min_samples)}
        missed = [f"{count} of {wanted} {what}" for what, (count, wanted) in counts.items() if count < wanted]
        results.append({**result, "intervals": comparison.intervals(result), "not_reached": missed})
    return results


def disturbed(results: list[dict]) -> list[str]:
    """Return the names of the disturbed results and ratios, such as "fp16 at batch 8"; [] if all figures are steady.

    `results` are from `results_of`.
    """
    figures = [
        f"{result['subject']} at batch {result['batch']}{', '.join(['', *result['not_reached']])}"
        for result in results
        if result["intervals"]["verdict"] == DISTURBED
    ]
    ratios = [
        f"{subject} over {baseline} at batch {batch}"
        for subject, batches in comparison.compare(results).items()
        for batch, baselines in batches.items()
        for baseline, compared in baselines.items()
        if comparison.is_disturbed(compared)
    ]
    return figures + ratios


def series_of(measurement: dict) -> dict[str, list[float]]:
    """Return {quantity: samples (ms)} of a measurement, without quantities that were not measured.

    A quantity is a kind of latency, such as "end_to_end".
    """
    return {quantity: series for quantity, series in measurement["samples_ms"].items() if series}


def result_of(name: str, batch: int, measurement: dict, gpu_state: dict | None = None) -> dict:
    """Return the result of one subject at one batch size, for the record of the benchmark.

    `measurement` is of one round, or of several (see `rounds.merged`). The result's keys are "subject" (`name`),
    "batch", "latency" {quantity: `distribution` of the samples}, and all keys of the measurement but the samples, such
    as "throughput_per_s". `gpu_state` is the summary of the GPU's readings (see `summarise_readings`); None without a
    GPU.
    """
    return {
        "subject": name,
        "batch": batch,
        "latency": {quantity: distribution(series) for quantity, series in series_of(measurement).items()},
        **{key: value for key, value in measurement.items() if key not in ("samples_ms", "gpu_readings")},
        **({"gpu_state": gpu_state} if gpu_state else {}),
    }


def conclusions(results: list[dict], engines: dict[str, BuiltEngine]) -> dict:
    """Return the comparisons of the benchmark's record: ratios to the baselines, and each subject's fastest setup.

    `results` are from `results_of`, `engines` is {precision: engine}. "ratios" are those of `comparison.compare`,
    "p50_ratio_engine_to_<baseline>" {engine: {batch: ratio of p50 latencies}}. "best_throughput" and its "_ratios" and
    "_intervals" are the results of the functions with these names. "bytes_over_fp32_onnx" is {engine: size of its file
    / size of the FP32 ONNX file}.
    """
    ratios, main = comparison.compare(results), comparison.baseline_of({result["subject"] for result in results})
    best = comparison.best_throughput(results)
    sizes = {name: round(built.record["bytes"] / built.record["onnx_bytes"], 4) for name, built in engines.items()}
    return {
        "ratios": ratios,
        f"p50_ratio_engine_to_{main}": {
            name: {batch: beside[main]["p50"]["end_to_end"] for batch, beside in ratios[name].items()}
            for name in engines
        },
        "best_throughput": best,
        "best_throughput_ratios": comparison.best_throughput_ratios(best),
        "best_throughput_intervals": comparison.best_throughput_intervals(best),
        "bytes_over_fp32_onnx": sizes,
    }


def line_of(result: dict, results: list[dict]) -> str:
    """Return one result as a line of text: p50 latencies (ms), throughput, and ratios to the baseline.

    `results` are all results of its batch size, which include the baseline's.
    """
    words = {"gpu": "GPU", "gpu_graph": "in a graph", "end_to_end": "end to end"}
    latency, batch = result["latency"], result["batch"]
    times = ", ".join(f"{text} {latency[name]['p50_ms']:.2f} ms" for name, text in words.items() if name in latency)
    rate = comparison.highest_throughput(result)["inferences_per_s"]
    line = f"  batch {batch:<3} {result['subject']:12} p50: {times}; {rate:,.1f} inferences/s"
    if result["intervals"]["verdict"] == DISTURBED:
        line += " (disturbed)"
    if (faster := result.get("profile_choice", {}).get("faster")) is not None:
        line += f" (profile {result['profile']} runs, and profile {faster} is faster; adapt `opt` in tensorrt.profiles)"
    compared = comparison.compare([other for other in results if other["batch"] == batch]).get(result["subject"])
    if not compared:
        return line
    main = comparison.baseline_of({other["subject"] for other in results})
    spans = compared[str(batch)][main]["intervals"]
    shares = [
        f"{text} {comparison.ratio_in_words(span['median'], span)}"
        for name, text in words.items()
        if (span := spans["p50"].get(name))
    ]
    rates = comparison.ratio_in_words(spans["throughput"]["median"], spans["throughput"])
    return f"{line}; of {comparison.TITLES[main]}'s: {', '.join(shares)}, inferences/s {rates}"
