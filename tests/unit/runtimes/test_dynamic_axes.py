"""Optimization profiles over every dynamic axis, built by TensorRT for RTX, which needs no GPU to build."""

import json

import pytest
from helpers.models import named_tensors
from helpers.models.onnx_record import FIXED, onnx_record
from onnx import helper

import build_engine
import preflight_onnx
from slipway.core.artifacts import read_json, write_json
from slipway.core.packages import runtime_version
from slipway.keys.optimization_profiles import dynamic_axes
from slipway.runtimes import runtime

OPTIONS = {
    "profiles": [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 4, "max": 8}],
    "workspace_mb": 256,
    "optimization_level": 0,
    "tf32": False,
    "tactic_sources": None,
    "compatibility": "none",
    "compute_capability": "8.9",
}


def build(folder, interface, **options):
    """Build the ONNX file that lies in the folder, and return the facts for the record."""
    options = OPTIONS | dynamic_axes({"interface": interface}) | options
    return runtime("tensorrt_rtx").build(folder / "m.onnx", folder / "m.rtx", "fp32", options)


def described(tensors):
    """Return tensors of an interface as an engine has them."""
    return [
        tensor | {"shape": [-1 if isinstance(size, str) else size for size in tensor["shape"]]} for tensor in tensors
    ]


@pytest.mark.parametrize("batch", [("batch",), ()], ids=["batches", "single requests"])
def test_two_int64_inputs_of_a_dynamic_sequence(tmp_path, batch):
    interface = named_tensors.text_interface(batch)
    named_tensors.write_text(tmp_path / "m.onnx", batch)
    facts = build(tmp_path, interface)
    assert facts["tensors"] == {side: described(interface[side]) for side in ("inputs", "outputs")}
    assert facts["layers"] == {"fp32": 1}
    assert facts["profiles"] == (OPTIONS["profiles"] if batch else [{"min": 1, "opt": 1, "max": 1}])
    assert (tmp_path / "m.rtx").stat().st_size > 1000


def test_a_picture_of_dynamic_height_and_width(tmp_path):
    interface = named_tensors.map_interface()
    named_tensors.write_map(tmp_path / "m.onnx")
    facts = build(tmp_path, interface)
    assert facts["tensors"] == {side: described(interface[side]) for side in ("inputs", "outputs")}
    assert facts["layers"] == {"fp32": 1}


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        (FIXED, r"the input ids \(-1, -1\), which its record does not describe"),
        (named_tensors.map_interface(), "the input ids .*, which its record does not describe"),
        (named_tensors.text_interface(("batch", 2)), "the input ids .*, which its record does not describe"),
    ],
    ids=["no axes", "other inputs", "other axes"],
)
def test_inputs_that_the_record_does_not_describe_are_refused(tmp_path, interface, words):
    named_tensors.write_text(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=words):
        build(tmp_path, interface)
    assert not (tmp_path / "m.rtx").exists()


def test_an_input_whose_values_are_sizes_is_refused_with_the_way_round(tmp_path):
    interface = named_tensors.interface(
        [("x", "float32", ("batch", 1)), ("size", "int64", (2,))], [("y", "float32", (None, None))], {}
    )
    named_tensors.write(tmp_path / "m.onnx", [helper.make_node("Expand", ["x", "size"], ["y"])], {}, interface)
    with pytest.raises(ValueError, match="the values of the input size decide the sizes of other tensors"):
        build(tmp_path, interface)


def test_only_models_with_further_axes_have_them_in_their_key():
    fixed = named_tensors.interface([("x", "float32", ("batch", 3, 8, 8))], [("y", "float32", ("batch", 5))], {})
    assert dynamic_axes({"interface": fixed}) == {}
    assert dynamic_axes({"interface": named_tensors.text_interface()}) == {
        "inputs": {"ids": ["batch", "sequence"], "mask": ["batch", "sequence"]},
        "axes": {"sequence": named_tensors.SEQUENCE},
    }


def test_the_build_program_takes_the_axes_from_the_record_of_the_onnx_file(tmp_path):
    interface, version = named_tensors.text_interface(), runtime_version("tensorrt_rtx")
    named_tensors.write_text(tmp_path / "m.onnx")
    write_json(tmp_path / "m.json", onnx_record(tmp_path / "m.onnx", interface))
    options = [
        *("--runtime", "tensorrt_rtx", "--runtime-version", version, "--precision", "fp32", "--cuda", "cu13"),
        *("--hardware", "NVIDIA L4 (compute capability 8.9)", "--builder", json.dumps(OPTIONS)),
        *("--onnx", f"{tmp_path}/m.onnx", "--onnx-record", f"{tmp_path}/m.json"),
        *("--engine", f"{tmp_path}/m.rtx", "--record", f"{tmp_path}/engine.json"),
    ]
    build_engine.main(build_engine.parse_arguments(options))
    record = read_json(tmp_path / "engine.json")
    assert record["key"]["builder"] == OPTIONS | dynamic_axes({"interface": interface})
    assert record["tensors"]["inputs"] == described(interface["inputs"])
    assert record["interface"] == interface


def test_a_compute_capability_that_the_builder_does_not_know_is_refused_with_those_it_does(tmp_path):
    named_tensors.write_text(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"does not build for compute capability 9\.0, only for .*8\.9.*12\.0"):
        build(tmp_path, named_tensors.text_interface(), compute_capability="9.0")


def test_preflight_builds_it_as_well(tmp_path):
    named_tensors.write_text(tmp_path / "m.onnx")
    write_json(tmp_path / "m.json", onnx_record(tmp_path / "m.onnx", named_tensors.text_interface()))
    files = f"--onnx {tmp_path}/m.onnx --onnx-records {tmp_path}/m.json --output {tmp_path}/preflight.json"
    preflight_onnx.main(preflight_onnx.parse_arguments(files.split()))
    (verdict,) = read_json(tmp_path / "preflight.json")["verdicts"].values()
    assert verdict["problem"] is None
    assert verdict["layers"] == {"fp32": 1}
