"""TensorRT's real builder on a machine without a GPU: preflight, and a target that is built for a declared GPU."""

import json

import onnx
import pytest
from helpers.made_clone import L4, PHOTOGRAPHS, PRECISIONS

from slipway.core.artifacts import sha256

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def place(made, tmp_path_factory):
    """Return a tiny model with pixels as input, for a GPU that is not here, calibrated on eight pictures."""
    return made.copied(tmp_path_factory.mktemp("without_gpu"))


def engine(precision):
    """Return the build record of a precision."""
    return f"results/tiny/l4/tiny.{precision}.engine.json"


def record(place, name):
    return json.loads(place.path(name).read_text(encoding="utf-8"))


def with_record(place, path):
    """Write the record of a changed ONNX file, and return its path."""
    written = path.with_name(f"{path.name}.json")
    about = record(place, "results/tiny/tiny.onnx.json") | {"sha256": sha256(path)}
    written.write_text(json.dumps(about), encoding="utf-8")
    return written


def test_every_variant_parses_and_builds(place):
    verdicts = record(place, "results/tiny/preflight.json")["verdicts"]
    assert set(verdicts) == {"fp32", "fp16", "int8-fp16", "bf16"}
    assert all(verdict["problem"] is None and verdict["bytes"] > 0 for verdict in verdicts.values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_has_the_precision_that_it_was_asked_for(place, precision):
    built = record(place, engine(precision))
    assert built["layers"][precision] > sum(built["layers"].values()) / 2
    assert built["strongly_typed"]
    assert built["interface"]["inputs"][0]["dtype"] == "uint8"
    assert place.path(f"results/tiny/l4/tiny.{precision}.rtx").stat().st_size == built["bytes"]


def test_a_build_record_states_the_whole_key(place):
    key = record(place, engine("fp16"))["key"]
    assert key["hardware"] == L4
    assert key["runtime"] == "tensorrt_rtx"
    assert key["cuda"] == "cu13"
    assert key["builder"]["compute_capability"] == "8.9"
    assert set(key["builder"]) >= {"profiles", "workspace_mb", "tf32", "tactic_sources", "compatibility"}


def test_low_precision_makes_small_engines(place):
    sizes = {name: record(place, engine(name))["bytes"] for name in ("fp32", "fp16")}
    assert sizes["fp16"] < 0.7 * sizes["fp32"]


def test_what_an_int8_engine_was_calibrated_on_is_in_its_record(place):
    calibrated = record(place, engine("int8"))["calibration"]
    assert calibrated["samples"] == PHOTOGRAPHS
    assert calibrated["method"] == "entropy"
    assert len(calibrated["sha256"]) == 64


def test_an_operator_that_the_parser_does_not_know_is_named(place):
    model = onnx.load(place.path("results/tiny/tiny.onnx"))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain, relu.name = "Mystery", "example.org", "head_mystery"
    model.opset_import.append(onnx.helper.make_opsetid("example.org", 1))
    strange = place.path("strange.onnx")
    onnx.save(model, strange)
    place.program(
        "preflight_onnx",
        *("--onnx", strange, "--onnx-records", with_record(place, strange)),
        *("--output", place.path("verdict.json")),
    ).refused("DOES NOT BUILD", "'head_mystery' (Mystery)", "1 of 1 ONNX files do not build: fp32")
    assert not place.path("verdict.json").exists()


def test_a_truncated_onnx_file_is_called_that(place):
    whole = place.path("results/tiny/tiny.onnx").read_bytes()
    short = place.path("short.onnx")
    short.write_bytes(whole[: len(whole) // 2])
    for written, words in (
        (with_record(place, short), "short.onnx: truncated or not ONNX"),
        (place.path("results/tiny/tiny.onnx.json"), "short.onnx is not the file of its record"),
    ):
        place.program(
            "preflight_onnx",
            *("--onnx", short, "--onnx-records", written, "--output", place.path("verdict.json")),
        ).refused(words)


def test_a_gpu_generation_that_cannot_be_built_for_is_refused_with_those_that_can(place):
    place.program(
        "preflight_onnx",
        *("--onnx", place.path("results/tiny/tiny.onnx"), "--onnx-records", place.path("results/tiny/tiny.onnx.json")),
        *("--compute-capability", "9.0", "--output", place.path("verdict.json")),
    ).refused("--compute-capability: invalid choice: '9.0'", "8.9", "12.0")


def test_measuring_needs_the_gpu_and_says_so(place):
    place.snakemake("results/tiny/l4/tiny.benchmark.json").refused(
        f"planned for the GPU '{L4}' but finds no GPU here", "run it where that GPU and its driver are"
    )


def test_building_with_tensorrt_needs_tensorrt_and_says_how_to_get_it(place):
    place.config["targets"]["h100"] = {
        "runtime": "tensorrt",
        "hardware": "NVIDIA H100 80GB HBM3 (compute capability 9.0)",
        "precisions": ["fp16"],
        "tensorrt": {"version": "10.13.3.9"},
    }
    place.write_config()
    try:
        place.snakemake("results/tiny/h100/tiny.fp16.engine.json").refused(
            "TensorRT is not installed under this interpreter", "`tensorrt.python` in config.yaml"
        )
    finally:
        del place.config["targets"]["h100"]
        place.write_config()
    assert not place.partial_files()


def test_an_interpreter_that_does_not_exist_is_named(place):
    place.config["tensorrt"] = {"python": "/nowhere/python", "version": "10.13.3.9"}
    place.write_config()
    try:
        place.snakemake("--forcerun", "build_tensorrt_rtx", "--", engine("fp32")).refused("/nowhere/python")
    finally:
        del place.config["tensorrt"]
        place.write_config()
