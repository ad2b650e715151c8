"""Make the line of a run for the history, from the records of a model.

The records are the JSON files that the steps of the workflow wrote: benchmark, load test, accuracy, choice.
"""

from pathlib import Path

from slipway.benchmark import comparison
from slipway.core.artifacts import sha256
from slipway.core.version import slipway_version
from slipway.history.lines import RUN, key_of
from slipway.load_test.configurations import goal_of
from slipway.load_test.limits import counted_memory_mb
from slipway.report.formats import AGREEMENTS
from slipway.report.measurements import Engine, Measurements, Target

# The settings in the key of an accuracy record. They identify the evaluation data in files.
DATA = ("labelled_sha256", "files_sha256", "max_samples")


def line_of(measurements: Measurements, folder: Path, when: str) -> dict:
    """Return the line of a run for the history, as schemas/history.schema.yaml describes it.

    `folder` is results/<model>, `when` the time of the run in UTC. Times, versions and words are not in the line's key.
    So the same measurements of the same checkpoint are the same run.
    """
    line = {
        "model": measurements.model,
        "checkpoint": {name: measurements.weights[name] for name in ("sha256", "origin")},
        "slipway": slipway_version(),
        "torch": measurements.targets[0].benchmark["environment"].get("torch"),
        "accuracy": of_checkpoint(measurements.accuracy),
        "targets": {target.name: of_target(target, folder) for target in measurements.targets},
    }
    return {"kind": RUN, "key": key_of(identity_of(line)), "when": when, **line}


def identity_of(line: dict) -> dict:
    """Return the part of a run's line that identifies the run: {"model", "checkpoint", "accuracy", "targets"}.

    "targets" has only the hashes of the records and the accuracy of each engine.
    """
    of_targets = {
        name: {
            "records": target["records"],
            "engines": {precision: engine["accuracy"] for precision, engine in target["engines"].items()},
        }
        for name, target in line["targets"].items()
    }
    return {name: line[name] for name in ("model", "checkpoint", "accuracy")} | {"targets": of_targets}


def of_target(target: Target, folder: Path) -> dict:
    """Return the facts of a run on one target: hardware, runtime, server, engines, baseline, selection, records.

    They have the form of `target` in schemas/history.schema.yaml. `folder` is results/<model>; "records" has the
    SHA-256 of files in it.
    """
    key, benchmark, tested = target.chosen.build["key"], target.benchmark, target.load_test
    files = {
        "benchmark": f"{folder.name}.benchmark.json",
        "load_test": "analysis/analysis.json",
        "selection": "selection.json",
    }
    wheel = None if tested["server"]["native_backends"] else tested["key"].get("pytriton_version")
    return {
        "hardware": key["hardware"],
        "threads": benchmark["environment"].get("threads"),
        "runtime": {"name": key["runtime"], "version": key["runtime_version"]},
        "server": {"name": "nvidia-pytriton", "version": wheel} if wheel else None,
        "engines": {engine.precision: of_engine(engine, benchmark) for engine in target.engines},
        "baseline": {"subject": target.baseline, "batches": batches_of(target.baseline, benchmark)},
        "selection": of_selection(target.selection),
        "records": {kind: sha256(folder / target.name / file) for kind, file in files.items()},
    }


def of_engine(engine: Engine, benchmark: dict) -> dict:
    """Return {"build", "bytes", "memory_bytes", "batches", "accuracy"} of an engine, from its records.

    `benchmark` is the record of benchmark.py. "build" says how the engine was made, and in how many seconds. "bytes" is
    the size of its files. "memory_bytes" is the GPU memory, None on a CPU. "batches" is from `batches_of`, "accuracy"
    from `accuracy_of`.
    """
    build, results = engine.build, [row for row in benchmark["results"] if row["subject"] == engine.precision]
    return {
        "build": {"way": build["way"], "seconds": build.get("spent_seconds")},
        "bytes": build["bytes"],
        "memory_bytes": max((result.get("device_memory_bytes") or 0 for result in results), default=0) or None,
        "batches": batches_of(engine.precision, benchmark),
        "accuracy": accuracy_of(engine.accuracy),
    }


def batches_of(subject: str, benchmark: dict) -> dict:
    """Return {batch size: latency and throughput, as from `of_batch`} of a subject: a precision or a baseline.

    `benchmark` is the record of benchmark.py.
    """
    return {str(result["batch"]): of_batch(result) for result in benchmark["results"] if result["subject"] == subject}


def of_batch(result: dict) -> dict:
    """Return {"latency_ms", "quantity", "throughput_per_s", "verdict"} of one of "results" in the benchmark's record.

    "quantity" is the kind of latency, such as "end_to_end". Latency and throughput have intervals (see `figure`).
    """
    quantity, intervals = comparison.best_quantity(result["latency"]), result["intervals"]
    return {
        "latency_ms": figure(intervals["p50_ms"][quantity]),
        "quantity": quantity,
        "throughput_per_s": figure(intervals["inferences_per_s"]),
        "verdict": intervals["verdict"],
    }


def figure(interval: dict) -> dict:
    """Return an interval of the benchmark, {"median", "low", "high"}, in the history's form, {"value", "low", "high"}.

    If the interval is empty, "low" and "high" are None.
    """
    is_known = interval["low"] < interval["high"]
    return {"value": interval["median"], **{end: interval[end] if is_known else None for end in ("low", "high")}}


def of_selection(selection: dict) -> dict:
    """Return the choice in selection.json for a run's line: the configuration, and its figures in the load test.

    The configuration is "precision", "max_batch_size" and "instances". The other keys are "goal" and "limits" of the
    choice, "in_flight" (requests), "throughput_per_s", "p99_ms", "p99_interval_ms", "memory_mb" and "verdict". The
    interval of the throughput goes from the slowest window to the fastest window.
    """
    row = selection["measured"]
    windows = row.get("windows_per_s") or [None]
    return {
        **{name: selection[name] for name in ("precision", "max_batch_size", "instances")},
        "goal": goal_of(selection),
        "limits": selection["limits"],
        "in_flight": row.get("concurrency"),
        "throughput_per_s": {"value": row["throughput_per_s"], "low": min(windows), "high": max(windows)},
        "p99_ms": row["p99_ms"],
        "p99_interval_ms": row.get("p99_interval_ms"),
        "memory_mb": counted_memory_mb(row),
        "verdict": row["verdict"],
    }


def accuracy_of(record: dict) -> dict:
    """Return the accuracy of an engine for a run's line, from the record of check_accuracy.py.

    The keys are "agreement" (share of answers equal to PyTorch's), "relative_error", "top1", "samples" (number of
    samples with known answers), "data" (identity of the evaluation data) and "metric" ({name: value}, {} without a
    metric). "agreement" is measured on the evaluation data or, without such data, on the reference sample.
    "relative_error" is always measured on the reference sample. Other entries that were not measured are None.
    """
    evaluation = record["evaluation"] or {}
    figures = evaluation or record["sample"]
    return {
        "agreement": next((figures[name] for name in AGREEMENTS if name in figures), None),
        "relative_error": record["sample"].get("relative_error"),
        "top1": evaluation.get("engine", {}).get("top1"),
        "samples": evaluation.get("labelled"),
        "data": data_of(record) if record["evaluation"] else None,
        "metric": (record["metric"] or {}).get("engine", {}),
    }


def of_checkpoint(record: dict | None) -> dict | None:
    """Return the accuracy of the model in PyTorch, with the keys of `accuracy_of`; None if it was not evaluated.

    `record` is accuracy.json, the record of evaluate_checkpoint.py, or None.
    """
    return record and {
        "agreement": None,
        "relative_error": None,
        "top1": record.get("top1"),
        "samples": record.get("labelled"),
        "data": data_of(record),
        "metric": record["metric"] or {},
    }


def data_of(record: dict) -> str | None:
    """Return the identity of the evaluation data of an accuracy record: a SHA-256, equal for equal data.

    Data from a user's function are identified by their values, data in files by the hashes in the record's key. Return
    None without evaluation data.
    """
    if record["key"].get("function"):
        return record["samples_sha256"]
    key = {name: record["key"][name] for name in DATA if record["key"].get(name)}
    return key_of(key) if key else None
