"""Every record of a model that the report is made of, for one CPU and one GPU target, consistent with one another."""

from dataclasses import asdict

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.outputs.meaning import STATED, Meaning

WEIGHTS = "17a0" * 16
CPU, GPU = "AMD EPYC [avx2] x2", "NVIDIA L4 (compute capability 8.9)"
ENGINES = ["cpu/fp32", "l4/fp16", "l4/int8"]
VARIANTS = ["fp32", "fp16", "int8"]
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg"/>'
ADVICE = "32% of the time goes to normalisations"


def write_records(results, model="resnet50", origin="checkpoint"):
    """Write them below `results`/<model>/; return that folder."""
    folder = results / model
    write_json(folder / "weights.json", weights(origin))
    write_json(folder / "contract.json", contract())
    write_json(folder / "reference_outputs.json", reference())
    write_json(folder / "accuracy.json", checkpoint_accuracy())
    write_json(folder / "profile" / "profile.json", profile())
    for variant in VARIANTS:
        name = f"{model}.onnx.json" if variant == "fp32" else f"{model}.{variant}.onnx.json"
        write_json(folder / name, onnx(variant))
    write_target(folder / "cpu", model, CPU, {"fp32": "openvino"}, ("end_to_end",))
    write_target(
        folder / "l4", model, GPU, {"fp16": "tensorrt", "int8": "tensorrt"}, ("gpu", "gpu_graph", "end_to_end")
    )
    return folder


def write_records_of_tensors(results, model="text"):
    """Write the records of a model with two inputs and two outputs, none of class scores, and a metric."""
    folder = write_records(results, model)
    write_json(folder / "weights.json", weights("checkpoint") | {"architecture": "text_network"})
    names = {"inputs": ["ids", "mask"], "outputs": ["embedding", "found"]}
    tensors = {
        side: [{"name": name, "dtype": "int64", "shape": ["batch", "sequence"], "pad": 0} for name in names[side]]
        for side in names
    }
    for output in tensors["outputs"]:
        output["meaning"] = asdict(Meaning("tensor", reason=STATED))
    axes = {"sequence": {"min": 1, "opt": 64, "max": 128}}
    write_json(folder / "contract.json", {**tensors, "axes": axes, "samples": "data:samples"})
    shown = {
        "embedding": {"tensor": {"dtype": "float32", "shape": [2], "min": -1, "max": 0.5, "values": [0.5, -1.0]}},
        "found": {"tensor": {"dtype": "int64", "shape": [1], "min": 3, "max": 3, "values": [3]}},
    }
    write_json(folder / "reference_outputs.json", {"weights_sha256": WEIGHTS, "outputs": shown})
    metric = {"cosine": 1.0}
    about = {"weights_sha256": WEIGHTS, "key": {}, "samples": 9}
    write_json(folder / "accuracy.json", about | {"metric": metric})
    for path in folder.glob("*/*.accuracy.json"):
        record = read_json(path)
        found = {name: record["sample"][name] for name in ("samples", "relative_error", "min_cosine")}
        equal = {"samples": 9, "equal_values": 0.99}
        record["sample"]["outputs"] = {"embedding": found, "found": equal}
        record["evaluation"] = {**found, "outputs": {"embedding": found, "found": equal}}
        record["metric"] = {"engine": {"cosine": 0.998}, "pytorch": metric}
        write_json(path, record | {"proven_on_labels": False, "key": {"metric_limits": {"cosine": {"min": 0.99}}}})
    return folder


def write_target(folder, model, hardware, precisions, quantities):
    """Write what was measured and chosen on one target; the last precision is the one that is chosen."""
    keys = {name: key(name, runtime, hardware) for name, runtime in precisions.items()}
    for precision in precisions:
        write_json(folder / f"{model}.{precision}.engine.json", engine(model, keys[precision]))
        write_json(folder / f"{model}.{precision}.accuracy.json", accuracy(keys[precision], labelled=hardware == GPU))
    write_json(folder / f"{model}.benchmark.json", benchmark(keys, quantities))
    rows = load_rows(list(precisions), on_gpu=hardware == GPU)
    load_test = folder / "analysis" / "analysis.json"
    server = {"run": "wheel", "native_backends": False, "release": "24.10"}
    about = {"origin": "checkpoint", "key": {"pytriton_version": "0.7.0"}, "engines": keys, "server": server}
    write_json(load_test, about | {"minutes": 10.0, "not_measured": [], "measurements": rows})
    load_test.with_name("throughput_latency.svg").write_text(PICTURE, encoding="utf-8")
    write_json(folder / "selection.json", selection(rows[-1], sha256(load_test)))


def weights(origin):
    return {
        "origin": origin,
        "sha256": WEIGHTS,
        "program": None,
        "architecture": "resnet50",
        "notes": ["the weights are those of `model_ema`, as `weights_key: model_ema` asks; left out: <model>"],
        "parameters": 25557032,
        "classes": 1000,
    }


def contract():
    """Return the contract of a classifier, in the form of contract.json."""
    logits = {"kind": "logits", "activation": "softmax", "negative": None, "reason": "it is a classifier"}
    return {
        "inputs": [{"name": "input", "dtype": "float32", "shape": ["batch", 3, 224, 224]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 1000], "meaning": logits}],
        "axes": {},
        "task": "classification",
    }


def reference():
    top = [
        {"index": 652, "label": "military uniform", "confidence": 0.913},
        {"index": 1, "label": "<b>", "confidence": 0.01},
    ]
    return {"weights_sha256": WEIGHTS, "image_sha256": "a8ca" * 16, "outputs": {"logits": {"top": top}}}


def profile():
    operators = [
        {"name": f"aten::op{number}", "calls": 5, "self_ms": 100.0 / number, "share": 0.5 / number}
        for number in range(1, 20)
    ]
    return {"step_ms": 80.25, "batch_size": 1, "steps": 5, "device": "cpu", "operators": operators, "advice": [ADVICE]}


def onnx(variant):
    agreement = {"relative_error": 5.5e-7}
    calibration = {"samples": 64, "method": "entropy"} if variant == "int8" else None
    return {
        "weights_sha256": WEIGHTS,
        "variant": variant,
        "sha256": f"{VARIANTS.index(variant)}b" * 32,
        "bytes": 102_232_811,
        "nodes": 122,
        "opset": 20,
        "agreement": {"1": agreement, "2": {"relative_error": 7.5e-7}} if variant == "fp32" else agreement,
        "calibration": calibration,
    }


def key(precision, runtime, hardware):
    version = {"openvino": "2026.4.1", "tensorrt": "11.1.0.106"}[runtime]
    return {"runtime": runtime, "runtime_version": version, "precision": precision, "hardware": hardware}


def engine(model, of):
    return {
        "weights_sha256": WEIGHTS,
        "key": of,
        "files": {f"{model}.{of['precision']}.engine": "cc" * 32},
        "bytes": 51_000_000,
        "onnx_bytes": 102_000_000,
        "layers": {of["precision"]: 53, "fp32": 1},
        "way": "partly_cached",
        "spent_seconds": 41.5,
    }


def checkpoint_accuracy(warnings=()):
    """Return PyTorch's own accuracy on photographs in two folders."""
    told = [("9", 9, "ostrich", "index", 120), ("tench", 0, "tench, Tinca tinca", "one of its names", 130)]
    tried = {"name": "mean and std 0.5", "images": 200, "configured_top1": 0.85, "top1": 0.74, "chance": 0.99999}
    return {
        "weights_sha256": WEIGHTS,
        "key": {},
        "metric": None,
        "images": 260,
        "labelled": 250,
        "top1": 0.852,
        "top5": 0.97,
        "top1_interval": [0.79, 0.9],
        "published_top1": 0.80858,
        "folders": [
            {"folder": folder, "class": index, "label": label, "rule": rule, "photographs": count}
            for folder, index, label, rule, count in told
        ],
        "alternatives": [tried],
        "warnings": list(warnings),
    }


def accuracy(of, labelled):
    found = {"samples": 1, "relative_error": 1.1e-3, "min_cosine": 0.999987, "top1_agreement": 1.0}
    of_photographs = {**found, "samples": 260}
    tops = {"labelled": 250, "pytorch": {"top1": 0.852}, "engine": {"top1": 0.848}}
    return {
        "engine_key": of,
        "limits": {"min_cosine": 0.999, "max_relative_error": 0.01, "min_top1_agreement": 0.98, "max_top1_drop": 0.005},
        "key": {},
        "sample": {**found, "outputs": {"logits": found}},
        "evaluation": {**of_photographs, "outputs": {"logits": of_photographs}, **tops} if labelled else None,
        "metric": None,
        "variation": {"weakness": None},
        "hidden_parts": [],
        "proven_on_labels": labelled,
    }


def benchmark(keys, quantities):
    subjects = ["pytorch", *keys]
    results = [result(subject, batch, quantities) for batch in (1, 8) for subject in subjects]
    # Of one round, which has no interval.
    single = [{"median": ratio, "low": ratio, "high": ratio, "verdict": "steady"} for ratio in (0.25, 4.5)]
    spans = {"p50": dict.fromkeys(quantities, single[0]), "throughput": single[1]}
    beside = {"p50": dict.fromkeys(quantities, 0.25), "throughput": 4.5, "intervals": spans}
    return {
        "key": {"batch_sizes": [1, 8]},
        "engines": keys,
        "inputs": "uint8 spread evenly over 0..255 (N, 3, 224, 224)",
        "results": results,
        "left_out": {"onnxruntime": "it has no CUDA here"},
        "ratios": {subject: {str(batch): {"pytorch": beside} for batch in (1, 8)} for subject in keys},
        "best_throughput_ratios": {subject: {"pytorch": 4.5} for subject in keys},
        "best_throughput_intervals": {subject: {"pytorch": single[1]} for subject in keys},
        "environment": {"torch": "2.15.0", "platform": "Linux", "load_average_1min": 0.82, "threads": 2},
    }


def result(subject, batch, quantities):
    fast = 1.0 if subject == "pytorch" else 0.25
    latency = {name: {f"{p}_ms": 4.0 * fast * batch for p in ("p50", "p90", "p99", "p99_9")} for name in quantities}
    verdict, not_reached = ("disturbed", ["3 of 5 rounds"]) if batch == 8 else ("steady", [])
    return {
        "subject": subject,
        "batch": batch,
        "latency": latency,
        "throughput_per_s": {"1": 250.0 / fast},
        "intervals": {
            "p50_ms": {name: around(each["p50_ms"], verdict) for name, each in latency.items()},
            "inferences_per_s": around(250.0 / fast, verdict),
            "verdict": verdict,
        },
        "not_reached": not_reached,
    }


def around(value, verdict):
    """Return the interval of a figure."""
    return {"median": value, "low": 0.97 * value, "high": 1.02 * value, "verdict": verdict}


def load_rows(precisions, on_gpu):
    base = {
        "variant": "resnet50_config_1",
        "max_batch_size": 8,
        "concurrency": 4,
        "mean_ms": 8.0,
        "queue_ms": 1.5,
        "memory_mb": 1000.0,
        **({"gpu_memory_mb": 2100.0} if on_gpu else {}),
    }
    slow = {**base, "precision": precisions[0], "instances": 2, "throughput_per_s": 2500.0, "p99_ms": 1500.0}
    fast = {**base, "precision": precisions[-1], "instances": 1, "throughput_per_s": 1234.5, "p99_ms": 9.25}
    fast["p99_interval_ms"] = [9.0, 9.75]
    return [slow | {"variant": "resnet50_config_2", "verdict": "disturbed"}, fast | {"verdict": "steady"}]


def selection(row, load_test_sha256):
    return {
        **{name: row[name] for name in ("precision", "max_batch_size", "instances")},
        "measured": row,
        "limits": {"p99_ms": 1000.0, "memory_mb": None},
        "reason": "the cheapest within 10% of the most that any configuration answers under the limits",
        "chosen_from": {"measurements": 2, "load_test_sha256": load_test_sha256},
    }
