"""A network above the limit of one ONNX file, which is a megabyte here, from its checkpoint to a live server."""

import json

import pytest
from helpers.made_clone import L4, PHOTOGRAPHS, draw
from helpers.workplace import Workplace, random_checkpoint, tiny_configuration

pytestmark = [pytest.mark.slow, pytest.mark.long]

LIMIT = {"SLIPWAY_ONNX_LIMIT": "1000000"}
DATA = "results/tiny/tiny.onnx.data"
ON_L4 = [f"results/tiny/l4/tiny.{precision}.engine.json" for precision in ("fp32", "fp16", "int8")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder in which it is live, with engines of three runtimes."""
    config = tiny_configuration()
    config["targets"] = {
        "cpu": {"runtime": "onnxruntime", "precisions": ["fp32"]},
        "ov": {"runtime": "openvino", "precisions": ["fp32"]},
        "l4": {"runtime": "tensorrt_rtx", "hardware": L4, "precisions": ["fp32", "fp16", "int8"], "tensorrt": {}},
    }
    config["deploy"]["target"] = "cpu"
    config["calibration"] = {"images": "pictures", "min_samples": PHOTOGRAPHS}
    place = Workplace(tmp_path_factory.mktemp("large"), config)
    random_checkpoint(place.path("good.pth"), seed=1)
    place.path("pictures").mkdir()
    for index in range(PHOTOGRAPHS):
        draw(place.path(f"pictures/{index}.png"), index)
    place.snakemake("results/tiny/ov/tiny.fp32.accuracy.json", *ON_L4, **LIMIT).succeeded()
    # A deployment is recorded with the measurements of all targets, and no L4 is here to measure on.
    elsewhere = {name: config["targets"].pop(name) for name in ("ov", "l4")}
    place.write_config()
    place.snakemake("results/tiny/deploy/receipt.json", **LIMIT).succeeded()
    config["targets"] |= elsewhere
    place.write_config()
    yield place
    place.snakemake("undeploy")


def test_it_is_live_and_its_weights_are_in_a_second_file_all_the_way(place):
    data = ["results/tiny/tiny.onnx.data", "results/tiny/tiny.fp16.onnx.data", "results/tiny/tiny.int8-fp16.onnx.data"]
    data += ["results/tiny/cpu/tiny.fp32.ort.onnx.data"]
    data += ["results/tiny/cpu/repository/tiny_trt/1/tiny.fp32.ort.onnx.data"]
    assert all(place.path(name).stat().st_size > 1e6 for name in data)
    receipt = json.loads(place.path("results/tiny/deploy/receipt.json").read_text(encoding="utf-8"))
    assert receipt["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-4


def test_a_changed_or_missing_data_file_is_made_again_before_it_is_used(place):
    data = place.path(DATA)
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + b"?")
    assert f"Reason: {DATA} " in place.snakemake("-n", *ON_L4).succeeded().said
    data.unlink()
    assert f"{DATA} missing" in place.snakemake("-n", *ON_L4, "--forcerun", "build_tensorrt_rtx").succeeded().said
    data.write_bytes(whole)
    assert "Nothing to be done" in place.snakemake("-n", *ON_L4).succeeded().said
