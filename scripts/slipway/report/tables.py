"""The tables of the report: measurements as text with units."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.benchmark.comparison import PYTORCH, best_quantity, highest_throughput
from slipway.load_test.limits import counted_memory_mb, holds
from slipway.report.measurements import Engine, Measurements, Target

NOTHING = "-"
OPERATORS = 8


@dataclass(frozen=True)
class Table:
    """A table: columns, rows of cells, and the indices of the chosen rows and of the rows over a limit."""

    columns: list[str]
    rows: list[list[str]]
    chosen: frozenset[int] = field(default_factory=frozenset)
    refused: frozenset[int] = field(default_factory=frozenset)


def engines(target: Target) -> Table:
    """Return each engine's runtime, the precisions of its layers, its size and build."""
    columns = ["engine", "runtime", "compute layers", "size", "of the FP32 ONNX", "made by", "in"]
    return Table(columns, [_engine(engine) for engine in target.engines], _where(target.engines, target.chosen))


def _engine(engine: Engine) -> list[str]:
    build, key = engine.build, engine.build["key"]
    return [
        key["precision"],
        f"{key['runtime']} {key['runtime_version']}",
        ", ".join(f"{count} {precision}" for precision, count in build["layers"].items()),
        megabytes(build["bytes"]),
        f"{build['bytes'] / build['onnx_bytes']:.2f}",
        build.get("way", NOTHING).replace("_", " "),
        f"{build.get('spent_seconds', build['build_seconds']):.1f} s",
    ]


def accuracy(target: Target) -> Table:
    """Return the agreement of each engine's outputs with PyTorch's, and the limits of its precision."""
    columns = ["engine", "compared on", "relative error", "lowest cosine", "same top-1", "top-1", "PyTorch's top-1"]
    rows = [
        _agreement(engine, name)
        for engine in target.engines
        for name in ("sample", "photographs")
        if engine.accuracy.get(name)
    ]
    return Table(columns, rows)


def _agreement(engine: Engine, name: str) -> list[str]:
    figures, limits = engine.accuracy[name], engine.accuracy["limits"]
    top1_accuracies = [figures.get(subject, {}).get("top1") for subject in ("engine", "pytorch")]
    return [
        engine.precision,
        "the sample photograph" if name == "sample" else f"{figures['images']} photographs",
        f"{figures['relative_error']:.1e} (at most {limits['max_relative_error']:g})",
        f"{figures['min_cosine']:.6f} (at least {limits['min_cosine']:g})" if "min_cosine" in figures else NOTHING,
        _same(figures, limits["min_top1_agreement"]),
        *(NOTHING if top1 is None else f"{top1:.1%}" for top1 in top1_accuracies),
    ]


def _same(figures: dict, limit: float) -> str:
    """Return the share of samples with PyTorch's best class; with PyTorch's decision if each class is a yes or no."""
    for name, words in (("top1_agreement", ""), ("decision_agreement", " of decisions")):
        if name in figures:
            return f"{figures[name]:.1%}{words} (at least {limit:.0%})"
    return NOTHING


def class_folders(evidence: Measurements) -> Table:
    """Return the class of each folder of labelled photographs, and the rule by which it was read."""
    columns = ["folder", "class", "label", "read by", "photographs"]
    rows = [
        [*(NOTHING if folder[name] is None else str(folder[name]) for name in ("folder", "class", "label", "rule"))]
        + [str(folder["photographs"])]
        for folder in evidence.accuracy["folders"]
    ]
    return Table(columns, rows)


def preprocessings(evidence: Measurements) -> Table:
    """Return PyTorch's top-1 accuracy with other preprocessings and as configured, on the same photographs."""
    columns = ["preprocessing", "photographs", "top-1", "top-1 as configured", "probability by chance"]
    rows = [
        [other["name"], str(other["images"]), f"{other['top1']:.1%}", f"{other['configured_top1']:.1%}"]
        + [f"{other['chance']:.2g}"]
        for other in evidence.accuracy["alternatives"]
    ]
    return Table(columns, rows)


def benchmark(target: Target) -> Table:
    """Return the latency and throughput of every subject at every batch size, relative to PyTorch in the same job."""
    columns = ["batch", "subject", "p50", "p90", "p99", "p99.9", "of PyTorch's", "images/s", "times PyTorch's"]
    return Table(columns, [_measured(result, target.benchmark["ratios"]) for result in target.benchmark["results"]])


def _measured(result: dict, ratios: dict) -> list[str]:
    quantity = best_quantity(result["latency"])
    latency = result["latency"][quantity]
    beside = ratios.get(result["subject"], {}).get(str(result["batch"]), {}).get(PYTORCH)
    return [
        str(result["batch"]),
        result["subject"],
        *(milliseconds(latency[f"{name}_ms"]) for name in ("p50", "p90", "p99", "p99_9")),
        f"{beside['p50'][quantity]:.2f}" if beside else NOTHING,
        f"{highest_throughput(result)['images_per_s']:,.1f}",
        f"{beside['throughput']:.2f}" if beside else NOTHING,
    ]


def load_test(target: Target) -> Table:
    """Return every configuration measured under load, the most requests/s first."""
    rows = sorted(target.load_test["measurements"], key=lambda row: -row["throughput_per_s"])
    limits = [target.selection["limits"][name] for name in ("p99_ms", "memory_mb")]
    columns = [
        "engine",
        "instances",
        "batches up to",
        "in flight",
        "requests/s",
        "mean",
        "p99",
        "in the queue",
        "memory",
    ]
    refused = frozenset(index for index, row in enumerate(rows) if not holds(row, *limits))
    return Table(columns, [_loaded(row) for row in rows], _where(rows, target.selection["measured"]), refused)


def _loaded(row: dict) -> list[str]:
    memory = counted_memory_mb(row)
    return [
        row["precision"],
        *(str(row[name]) for name in ("instances", "max_batch_size", "concurrency")),
        f"{row['throughput_per_s']:,.1f}",
        *(milliseconds(row[name]) for name in ("mean_ms", "p99_ms", "queue_ms")),
        NOTHING if memory is None else f"{memory:,.0f} MB",
    ]


def onnx_files(evidence: Measurements) -> Table:
    """Return each ONNX variant's size and structure, and its error against PyTorch or the FP32 file."""
    columns = ["variant", "size", "nodes", "opset", "relative error", "to", "calibrated on"]
    return Table(columns, [_onnx(record) for record in evidence.onnx.values()])


def _onnx(record: dict) -> list[str]:
    is_base, calibration = record["variant"] == "fp32", record.get("calibration")
    agreements = list((record["agreement"] or {}).values()) if is_base else [record["agreement"]]
    errors = [agreement["relative_error"] for agreement in agreements if agreement]
    return [
        record["variant"],
        megabytes(record["bytes"]),
        str(record["nodes"]),
        str(record["opset"]),
        f"{max(errors):.1e}" if errors else NOTHING,
        "PyTorch" if is_base else "the FP32 file",
        f"{calibration['images']} photographs, {calibration['method']}" if calibration else NOTHING,
    ]


def operators(evidence: Measurements) -> Table:
    """Return the operators that take most time in one of PyTorch's forward passes."""
    listed, steps = evidence.profile["operators"][:OPERATORS], evidence.profile["steps"]
    rows = [
        [entry["name"], f"{entry['calls'] / steps:g}", milliseconds(entry["self_ms"] / steps), f"{entry['share']:.1%}"]
        for entry in listed
    ]
    return Table(["operator", "calls", "own time", "share"], rows)


def chain(evidence: Measurements) -> Table:
    """Return the SHA-256 of every file from the checkpoint to the engines."""
    onnx = [(f"ONNX, {variant}", record["sha256"]) for variant, record in evidence.onnx.items()]
    built = [
        (f"{target.name}: {name}", digest)
        for target in evidence.targets
        for engine in target.engines
        for name, digest in engine.build["files"].items()
    ]
    first = [("checkpoint", evidence.weights["sha256"]), ("sample photograph", evidence.golden["image_sha256"])]
    return Table(["file", "SHA-256"], [list(row) for row in first + onnx + built])


def megabytes(size: int) -> str:
    """Return a size in bytes as text in MB (10^6 bytes)."""
    return f"{size / 1e6:.1f} MB"


def milliseconds(value: float | None) -> str:
    """Return a time in ms as text with at least three significant digits."""
    if value is None:
        return NOTHING
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms" if value < 100 else f"{value:,.0f} ms"


def _where(rows: Iterable, served: object) -> frozenset[int]:
    return frozenset(index for index, row in enumerate(rows) if row == served)
