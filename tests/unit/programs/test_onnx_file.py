"""An ONNX file alone goes through the programs of the rules, from the file to the comparison of an engine."""

import shlex

import numpy as np
import pytest
from helpers.onnx_graphs import classifier, noise, saved

import benchmark
import build_engine
import check_accuracy
import export_onnx
import make_contract
import reference_outputs
import take_program
from slipway.contract.archives import write_samples
from slipway.core.artifacts import read_json, write_json
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version

SAMPLES = [{"in": noise(1, 2, 4, seed=seed)} for seed in range(5)]
LIMITS = "--min-cosine 0.999 --min-top1-agreement 0.99 --max-relative-error 1e-3 --max-top1-drop 0.01"


def ran(program, options):
    program.main(program.parse_arguments(shlex.split(options)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with what the programs made of a file with a fixed batch of 1 and TensorFlow's names."""
    folder = tmp_path_factory.mktemp("onnx_file")
    saved(classifier(given="in:0", answer="Identity:0", opset=11), folder / "model.onnx")
    write_samples(folder / "samples.npz", SAMPLES)
    sizes = {"in": [[size, size] for size in (1, 2, 4)]}
    write_json(folder / "samples.json", {"sizes": sizes, "sha256": "of the samples"})
    hardware = shlex.quote(cpu_identity())
    network = f"--weights {folder}/program --weights-record {folder}/weights.json"
    samples = f"--samples {folder}/samples.npz"
    engine = f"{folder}/m.fp32.openvino.xml"
    ran(
        take_program,
        f"--checkpoint {folder}/model.onnx --kind onnx_file {samples} --output {folder}/program --record "
        f"{folder}/weights.json",
    )
    ran(
        make_contract,
        f'{network} {samples} --samples-record {folder}/samples.json --outputs \'{{"Identity": "probabilities"}}\' '
        f"--contract {folder}/contract.json --interface {folder}/interface.json --labels {folder}/labels.txt",
    )
    ran(
        reference_outputs,
        f"{network} {samples} --samples-record {folder}/samples.json --contract {folder}/contract.json --labels "
        f"{folder}/labels.txt --output {folder}/reference_outputs.npz --record {folder}/reference_outputs.json",
    )
    ran(
        export_onnx,
        f"{network} {samples} --interface {folder}/interface.json --opset 20 --output {folder}/m.onnx --record "
        f"{folder}/m.onnx.json",
    )
    ran(
        build_engine,
        f"--onnx {folder}/m.onnx --onnx-record {folder}/m.onnx.json --runtime openvino --runtime-version "
        f"{package_version('openvino')} --precision fp32 --hardware {hardware} --engine {engine} --record "
        f"{folder}/m.fp32.engine.json",
    )
    ran(
        check_accuracy,
        f"--reference {folder}/reference_outputs.npz --engine-record {folder}/m.fp32.engine.json {LIMITS} "
        f"--labels {folder}/labels.txt --output {folder}/m.fp32.accuracy.json",
    )
    ran(
        benchmark,
        f"{network} {samples} --interface {folder}/interface.json --onnx {folder}/m.onnx --engine-records "
        f"{folder}/m.fp32.engine.json --hardware {hardware} --batch-sizes 1 2 --seconds 0.05 --warmup-seconds 0.01 "
        f"--min-samples 2 --budget-seconds 0.5 --output {folder}/m.benchmark.json",
    )
    return folder


def test_the_record_says_what_was_changed(made):
    record = read_json(made / "weights.json")
    assert (record["origin"], record["program"], record["parameters"]) == ("program", "onnx_file", 27)
    assert any("in:0 is served as in" in note for note in record["notes"])
    assert any("was made dynamic" in note for note in record["notes"])


def test_the_engine_repeats_the_file(made):
    accuracy = read_json(made / "m.fp32.accuracy.json")
    assert accuracy["baseline"] == read_json(made / "contract.json")["baseline"] == "ONNX Runtime"
    assert accuracy["sample"]["relative_error"] < 1e-5
    assert accuracy["batch_independence"]["batches"] == [2, 4]
    assert read_json(made / "m.onnx.json")["opset"] == 20


def test_the_engine_is_measured_beside_onnx_runtime_and_nothing_of_pytorch(made):
    record = read_json(made / "m.benchmark.json")
    assert {result["subject"] for result in record["results"]} == {"onnxruntime", "fp32"}
    assert set(record["ratios"]) == {"fp32"}
    for batch in ("1", "2"):
        assert set(record["ratios"]["fp32"][batch]) == {"onnxruntime"}
    assert record["ratios"]["fp32"]["1"]["onnxruntime"]["p50"]["end_to_end"] > 0
    assert np.isfinite(record["best_throughput_ratios"]["fp32"]["onnxruntime"])
