"""A real benchmark leaves an engine out of a real load test: one that breaks a limit already without load."""

import json

import pytest
import torch
from helpers.models.canonical_weights import write_weights
from helpers.models.random_images import random_batch

import benchmark
import load_test
from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version
from slipway.models.architectures import build
from slipway.runtimes import engine_files, runtime

pytestmark = [pytest.mark.slow, pytest.mark.long]

NETWORK = {"architecture": "squeezenet1_1", "arguments": {"num_classes": 10}}
CONTRACT = Contract((Tensor("input", "float32", (BATCH, 3, 32, 32)),), (Tensor("logits", "float32", (BATCH, 10)),))


class Enlarged(torch.nn.Module):
    """A network on pictures that are enlarged first, so it computes a hundred times as much."""

    def __init__(self, network):
        super().__init__()
        self.enlarge, self.network = torch.nn.Upsample(scale_factor=10), network

    def forward(self, pictures):
        return self.network(self.enlarge(pictures))


def write_engine(folder, network, precision):
    """Write an OpenVINO engine with the record that a build writes; return the record's path."""
    onnx, engine = folder / f"{precision}.onnx", folder / f"m.{precision}.openvino.xml"
    names = {"input_names": ["input"], "output_names": ["logits"], "dynamic_axes": {"input": {0: "n"}}}
    torch.onnx.export(network, (torch.zeros(2, 3, 32, 32),), onnx, dynamo=False, **names)
    facts = runtime("openvino").build(onnx, engine, "fp32", {})
    files = {file.name: sha256(file) for file in engine_files("openvino", engine)}
    key = {"runtime": "openvino", "precision": precision, "runtime_version": package_version("openvino")}
    sizes = {"bytes": engine.stat().st_size, "onnx_bytes": onnx.stat().st_size}
    record = {"files": files, "key": key, **sizes, **facts}
    write_json(folder / f"m.{precision}.engine.json", record)
    return folder / f"m.{precision}.engine.json"


@pytest.fixture
def common(tmp_path):
    """Return the options of benchmark and load test, for a fast engine (bf16) and a slow one (fp32) of one network."""
    torch.manual_seed(0)
    network = build(**NETWORK).eval()
    write_weights(tmp_path, network, **NETWORK, origin="rehearsal")
    write_json(tmp_path / "interface.json", CONTRACT.interface())
    write_samples(tmp_path / "samples.npz", [{"input": random_batch("float32", 1, 32)}])
    records = [write_engine(tmp_path, network, "bf16"), write_engine(tmp_path, Enlarged(network), "fp32")]
    files = {"weights-record": "weights.json", "interface": "interface.json", "samples": "samples.npz"}
    named = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    return ["--engine-records", *map(str, records), "--hardware", cpu_identity(), *named]


def load_tested(folder, common, measured, limit_ms):
    """Return the record of a load test that gets a benchmark's record and a limit."""
    options = ["--model", "m", "--concurrency", "1", "--instances", "1", "--max-batch-sizes", "1", "--requests", "5"]
    options += ["--benchmark", str(measured), "--p99-limit-ms", str(limit_ms)]
    for name in ("table", "record", "original", "plots", "kept"):
        options += [f"--{name}", str(folder / f"load_test.{name}")]
    load_test.main(load_test.parse_arguments([*common, *options]))
    return read_json(folder / "load_test.record")


def as_on_a_quiet_machine(result):
    """Return a result with the same medians, steady, and without the stragglers of a busy machine."""
    latency = result["latency"]["end_to_end"] | {"p99_ms": None}
    steady = json.loads(json.dumps(result).replace('"disturbed"', '"steady"'))
    return steady | {"latency": {"end_to_end": latency}}


def test_an_engine_that_breaks_a_limit_without_load_is_not_load_tested(tmp_path, common):
    measured = tmp_path / "benchmark.json"
    options = ["--weights", str(tmp_path / "weights.safetensors"), "--batch-sizes", "1", "--output", str(measured)]
    benchmark.main(benchmark.parse_arguments([*common, *options, "--seconds", "2", "--warmup-seconds", "0.5"]))
    results = {result["subject"]: result for result in read_json(measured)["results"]}
    fast, slow = (results[name]["latency"]["end_to_end"]["p50_ms"] for name in ("bf16", "fp32"))
    assert fast < slow / 4
    limit_ms = (fast * slow) ** 0.5
    if "disturbed" in json.dumps(results["fp32"]["intervals"]):
        found = load_tested(tmp_path, common, measured, limit_ms)
        assert found["left_out"] == [], "a disturbed measurement leaves nothing out"
        assert {row["precision"] for row in found["measurements"]} == {"bf16", "fp32"}
        write_json(measured, {"results": list(map(as_on_a_quiet_machine, results.values()))})
    found = load_tested(tmp_path, common, measured, limit_ms)
    [entry] = found["left_out"]
    assert (entry["precision"], entry["limit"]) == ("fp32", "p99_ms")
    assert entry["figure"] > limit_ms
    assert {row["precision"] for row in found["measurements"]} == {"bf16"}
