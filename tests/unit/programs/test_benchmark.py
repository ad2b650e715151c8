import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models.canonical_weights import write_weights
from helpers.models.random_images import random_batch

import benchmark
from slipway.benchmark.cpu_subjects import eager_on_cpu
from slipway.benchmark.gpu_subjects import half_precision
from slipway.benchmark.results import line_of, result_of, results_of
from slipway.benchmark.timing import Effort
from slipway.classification.images import Preprocessing
from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Axis, Contract, Normalisation, Tensor
from slipway.contract.network import ServedNetwork
from slipway.core.artifacts import sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu_identity
from slipway.engines.engine_artifact import BuiltEngine
from slipway.models.architectures import build

PREPROCESS = Preprocessing(40, 32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
OPTIONS = "--seconds 0.05 --warmup-seconds 0.01 --budget-seconds 0.5"
EFFORT = Effort(0.05, 0.01, 5, 0.25)
ARCHITECTURE = {"architecture": "squeezenet1_1", "arguments": {"num_classes": 10}}


def contract_of(dtype):
    normalisation = Normalisation(PREPROCESS.mean, PREPROCESS.std) if dtype == "uint8" else None
    taken = Tensor("input", dtype, (BATCH, 3, 32, 32), normalisation=normalisation)
    return Contract((taken,), (Tensor("logits", "float32", (BATCH, 10)),))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(**ARCHITECTURE)


@pytest.fixture(scope="module", params=["float32", "uint8"])
def artifacts(request, tmp_path_factory, model):
    """Return (folder, input format) of a checkpoint and of an ONNX Runtime engine of it, with their records."""
    folder = tmp_path_factory.mktemp(f"benchmark-{request.param}")
    write_weights(folder, model, **ARCHITECTURE, origin="rehearsal")
    engine = folder / "m.fp32.ort.onnx"
    served = ServedNetwork(model, contract_of(request.param))
    images = torch.from_numpy(random_batch(request.param, 2, PREPROCESS.crop))
    torch.onnx.export(
        served,
        (images,),
        engine,
        dynamo=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "n"}},
    )
    key = {"runtime": "onnxruntime", "precision": "fp32"}
    size, tensors = engine.stat().st_size, contract_of(request.param).interface()
    record = {"files": {engine.name: sha256(engine)}, "key": key, "bytes": size, "onnx_bytes": 2 * size}
    write_json(folder / "m.fp32.engine.json", record | {"tensors": tensors})
    write_json(folder / "interface.json", contract_of(request.param).interface())
    write_samples(folder / "samples.npz", [{"input": random_batch(request.param, 1, 32, seed)} for seed in range(3)])
    return folder, request.param


def measured(artifacts, *more: str) -> dict:
    folder, _ = artifacts
    command = [
        *("--weights", str(folder / "weights.safetensors"), "--weights-record", str(folder / "weights.json")),
        *("--engine-records", str(folder / "m.fp32.engine.json"), *OPTIONS.split()),
        *("--interface", str(folder / "interface.json"), "--samples", str(folder / "samples.npz")),
        *("--hardware", cpu_identity(), "--min-samples", "5", "--output", str(folder / "m.benchmark.json"), *more),
    ]
    benchmark.main(benchmark.parse_arguments(command))
    return json.loads((folder / "m.benchmark.json").read_text(encoding="utf-8"))


def test_a_measurement_that_other_work_disturbed_is_told(artifacts, monkeypatch, capsys):
    monkeypatch.setattr("slipway.benchmark.rounds.STEADY_SHARE", -1)  # no spread is so narrow
    record = measured(artifacts, "--batch-sizes", "1")
    assert {"pytorch at batch 1", "fp32 at batch 1", "fp32 over pytorch at batch 1"} <= {
        line.partition(",")[0] for line in record["disturbed"]
    }
    told = capsys.readouterr().err
    assert "disturbed, measure again on a quiet machine" in told
    assert ": all figures\n" in told
    assert told.count("inferences/s (disturbed)") == 2


@contextlib.contextmanager
def busy_processes(count):
    """Let other processes compute while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.long
def test_beside_busy_processes_a_ratio_is_near_the_quiet_one_or_called_disturbed(artifacts):
    def ratios():
        """Return the ratio of the medians, that of the fastest calls, and the verdict."""
        effort = ["--seconds", "2", "--warmup-seconds", "0.5", "--min-samples", "20", "--budget-seconds", "10"]
        record = measured(artifacts, "--batch-sizes", "1", *effort)
        compared = record["ratios"]["fp32"]["1"]["pytorch"]
        pytorch, engine = (result["latency"]["end_to_end"]["min_ms"] for result in record["results"])
        return compared["p50"]["end_to_end"], engine / pytorch, compared["intervals"]["p50"]["end_to_end"]["verdict"]

    quiet, of_the_fastest, verdict = ratios()
    if verdict == "disturbed":
        quiet = of_the_fastest  # on a machine that is busy already, the fastest calls had the CPUs
    with busy_processes(2):
        busy, _, verdict = ratios()
    print(f"quiet {quiet:.3f}, busy {busy:.3f} ({verdict})")
    assert verdict == "disturbed" or busy == pytest.approx(quiet, rel=0.15)


def test_pytorch_and_the_engine_side_by_side(artifacts, capsys):
    record = measured(artifacts, "--batch-sizes", "1", "2")
    assert [(found["subject"], found["batch"]) for found in record["results"]] == [
        ("pytorch", 1),
        ("fp32", 1),
        ("pytorch", 2),
        ("fp32", 2),
    ]
    for found in record["results"]:
        samples = record["samples_ms"][f"{found['subject']}/{found['batch']}/end_to_end"]
        latency = found["latency"]["end_to_end"]
        assert len(samples) == min(latency["count"], record["samples_kept_at_most"])
        assert min(samples) == pytest.approx(latency["min_ms"], abs=1e-3) or latency["count"] > len(samples)
        assert latency["count"] >= 5 or f"{latency['count']} of 5 samples" in found["not_reached"]
        assert len(found["rounds"]) >= 5 or f"{len(found['rounds'])} of 5 rounds" in found["not_reached"]
        rates = [each["rates"]["throughput_per_s"]["1"] for each in found["rounds"]]
        assert found["throughput_per_s"]["1"] == pytest.approx(np.median(rates), rel=0.01)
    pytorch, engine = ([each["p50_ms"]["end_to_end"] for each in found["rounds"]] for found in record["results"][:2])
    ratios = np.array(engine) / np.array(pytorch)
    assert record["p50_ratio_engine_to_pytorch"]["fp32"]["1"] == pytest.approx(np.median(ratios), abs=1e-3)
    span = record["ratios"]["fp32"]["1"]["pytorch"]["intervals"]["p50"]["end_to_end"]
    assert span["low"] <= np.median(ratios) + 1e-4
    assert span["high"] >= np.median(ratios) - 1e-4
    assert record["best_throughput_intervals"]["fp32"]["pytorch"]["low"] > 0
    assert record["bytes_over_fp32_onnx"] == {"fp32": 0.5}
    assert record["inputs"] == f"real samples of input {artifacts[1]} (batch, 3, 32, 32)"
    assert record["by_size"] == []
    assert "gpu" not in record["environment"]
    # A line a subject and batch; the engine's has a ratio too.
    assert capsys.readouterr().err.count("inferences/s") == 6


def test_a_batch_that_an_engine_does_not_take_is_told_before_anything_is_measured():
    taken = [{"min": 1, "opt": 1, "max": 1}, {"min": 4, "opt": 8, "max": 8}]
    engine = BuiltEngine(Path("m.fp16.trt"), {"key": {"runtime": "tensorrt"}, "profiles": taken})
    engine.require_batches([1, 4, 8], "`benchmark.batch_sizes` is [1, 4, 8]")
    words = r"is \[1, 2, 16\], but m\.fp16\.trt was built for batches of 1 to 1 and 4 to 8, not 2; lower the size"
    with pytest.raises(SlipwayError, match=words):
        engine.require_batches([1, 2, 16], "`benchmark.batch_sizes` is [1, 2, 16]")


def test_both_sides_answer_the_same(artifacts, model):
    """What is timed is the same computation: else a ratio of times means nothing."""
    from slipway.engines.engine_artifact import BuiltEngine

    folder, input_dtype = artifacts
    images = random_batch(input_dtype, 2, PREPROCESS.crop)
    (expected,) = eager_on_cpu(ServedNetwork(model, contract_of(input_dtype)))({"input": images})
    answered = BuiltEngine.of_record(folder / "m.fp32.engine.json").load().infer({"input": images})["logits"]
    assert abs(answered - expected).max() < 1e-3 * abs(expected).max()


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_half_precision_takes_what_an_engine_takes(model, input_dtype):
    images = torch.from_numpy(random_batch(input_dtype, 2, PREPROCESS.crop))
    with torch.inference_mode():
        (expected,) = ServedNetwork(model, contract_of(input_dtype))(images)
        halved = half_precision(model, contract_of(input_dtype))
        (answered,) = halved(images)
    assert answered.dtype == torch.float32
    assert (answered - expected).abs().max() < 0.02 * expected.abs().max()
    assert next(model.parameters()).dtype == torch.float32
    assert next(halved.parameters()).is_contiguous(memory_format=torch.channels_last)


def test_integers_stay_integers_in_half_precision_and_outputs_are_float32():
    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.weigh = torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2)

        def forward(self, ids, weights):
            return self.weigh(self.words(ids) * weights[..., None]).mean(1), ids

    network, ids, weights = Text().eval(), torch.arange(6).reshape(2, 3), torch.rand(2, 3)
    contract = Contract(
        (Tensor("ids", "int64", (BATCH, 3)), Tensor("weights", "float32", (BATCH, 3))),
        (Tensor("scores", "float32", (BATCH, 2)), Tensor("same", "int64", (BATCH, 3))),
    )
    with torch.inference_mode():
        scores, same = half_precision(network, contract)(ids, weights)
        expected, _ = network(ids, weights)
    assert (scores.dtype, same.dtype) == (torch.float32, torch.int64)
    assert (scores - expected).abs().max() < 0.02


def test_single_requests_are_measured_at_both_ends_of_the_dynamic_axes():
    sequence = Tensor("ids", "int64", (BATCH, "sequence"))
    contract = Contract((sequence,), (), {"sequence": Axis(1, 4, 8)})
    asked = []

    def subject(inputs, effort):
        asked.append((inputs["ids"].shape, inputs["ids"].max()))
        return {"samples_ms": {"end_to_end": [1.0]}, "throughput_per_s": {"1": 1e3}}

    found = benchmark.by_size({"fp32": subject}, contract, [{"ids": np.int64([[5, 6, 7]])}])
    assert asked == [((1, 1), 5), ((1, 8), 7)]
    assert [(each["axes"], each["subject"], each["batch"]) for each in found] == [
        ({"sequence": 1}, "fp32", 1),
        ({"sequence": 8}, "fp32", 1),
    ]
    assert benchmark.by_size({"fp32": subject}, Contract((sequence,), ()), []) == []


def test_an_optional_subject_that_cannot_run_is_left_out_with_its_reason():
    def unable(inputs, effort):
        raise SlipwayError("no CUDA provider")

    def able(inputs, effort):
        return {"samples_ms": {"gpu": [1.0], "gpu_graph": None}, "throughput_per_s": {"1": 10.0}}

    subjects = {"pytorch": able, "onnxruntime": unable, "fp16": able}
    results, samples, left_out = benchmark.measure_all(subjects, {1: {}, 2: {}}, EFFORT, monitor=None)
    assert left_out == {"onnxruntime": "no CUDA provider"}
    assert [found["subject"] for found in results] == ["pytorch", "fp16"] * 2
    assert set(samples["fp16/2/gpu"]) == {1.0}
    assert len(samples["fp16/2/gpu"]) >= 5
    assert not any("gpu_graph" in name for name in samples)


def test_an_engine_that_cannot_run_ends_the_benchmark():
    def unable(inputs, effort):
        raise SlipwayError("the engine is of another version")

    with pytest.raises(SlipwayError, match="another version"):
        benchmark.measure_all({"fp16": unable}, {1: {}}, EFFORT, monitor=None)


def test_what_an_engine_tells_beside_its_samples_is_kept():
    found = {
        "batch": 8,
        "profile": 1,
        "samples_ms": {"gpu": [2.0, 4.0], "gpu_graph": None},
        "throughput_per_s": {"1": 4000.0},
        "no_graph_reason": "a layer cannot be captured",
    }
    result = result_of("int8", 8, found, {"throttled": False})
    assert result["latency"]["gpu"]["p50_ms"] == 3
    assert set(result["latency"]) == {"gpu"}
    assert (result["profile"], result["gpu_state"]) == (1, {"throttled": False})
    assert result["no_graph_reason"] == "a layer cannot be captured"


def test_a_line_for_a_person():
    measured = {"pytorch": (4.0, 100.0), "fp16": (1.0, 1250.0)}
    figures = {"gpu_readings": [], "cpu_waiting": 0.0}
    rounds = {
        name: [{"samples_ms": {"gpu": [gpu_ms]}, "throughput_per_s": {"1": rate}, **figures}] * 5
        for name, (gpu_ms, rate) in measured.items()
    }
    results = results_of(1, rounds, min_samples=0)
    assert line_of(results[0], results).endswith("p50: GPU 4.00 ms; 100.0 inferences/s")
    assert line_of(results[1], results).endswith("1,250.0 inferences/s; of PyTorch's: GPU 0.25, inferences/s 12.50")
    beaten = results[0] | {"profile": 0, "profile_choice": {"faster": 1}}
    assert line_of(beaten, results).endswith(
        "(profile 0 runs, and profile 1 is faster; adapt `opt` in tensorrt.profiles)"
    )
