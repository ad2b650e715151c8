"""A real load test of a model whose answers are megabytes, with a bound in time."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import load_test
from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version
from slipway.runtimes import engine_files, runtime

pytestmark = [pytest.mark.slow, pytest.mark.long]

SIDE, CHANNELS = 256, 21  # an answer of 5.5 MB
CONTRACT = Contract(
    (Tensor("image", "float32", (BATCH, 3, SIDE, SIDE)),),
    (Tensor("classes", "float32", (BATCH, CHANNELS, SIDE, SIDE)),),
)


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """Return a folder with an engine that answers with a class's score for each pixel, and its records."""
    folder = tmp_path_factory.mktemp("segmentation")
    weights = np.random.default_rng(0).standard_normal((CHANNELS, 3, 3, 3), dtype=np.float32)
    shapes = {tensor.name: ["n", *tensor.shape[1:]] for tensor in (*CONTRACT.inputs, *CONTRACT.outputs)}
    image, classes = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    node = helper.make_node("Conv", ["image", "weights"], ["classes"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "segmentation", [image], [classes], [numpy_helper.from_array(weights, "weights")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "segmentation.onnx",
    )
    engine = folder / "segmentation.fp32.openvino.xml"
    facts = runtime("openvino").build(folder / "segmentation.onnx", engine, "fp32", {})
    key = {"runtime": "openvino", "runtime_version": package_version("openvino"), "precision": "fp32"}
    files = {file.name: sha256(file) for file in engine_files("openvino", engine)}
    write_json(folder / "engine.json", {"files": files, "key": key, **facts})
    write_json(folder / "weights.json", {"origin": "checkpoint", "largest_batch": None})
    write_json(folder / "interface.json", CONTRACT.interface())
    image = np.random.default_rng(1).standard_normal((1, 3, SIDE, SIDE), dtype=np.float32)
    write_samples(folder / "samples.npz", [{"image": image}])
    return folder


def load_tested(folder, **options):
    """Run the load test in the folder, and return its record."""
    files = {"engine-records": "engine.json", "weights-record": "weights.json", "interface": "interface.json"}
    files |= {"samples": "samples.npz", "record": "record.json", "table": "table.csv", "original": "original.csv"}
    command = ["--model", "segmentation", "--hardware", cpu_identity(), "--plots", str(folder / "plots")]
    command += [word for name, file in files.items() for word in (f"--{name}", str(folder / file))]
    command += [str(word) for name, value in options.items() for word in (f"--{name}", *np.atleast_1d(value))]
    load_test.main(load_test.parse_arguments(command))
    return read_json(folder / "record.json")


def test_answers_of_megabytes_are_measured_within_the_time_or_named(segmentation, capsys):
    record = load_tested(segmentation, concurrency=[1, 8], instances=[1], requests=300, minutes=1)
    points = [(point["instances"], point["concurrency"]) for point in record["measurements"] + record["not_measured"]]
    assert sorted(points) == [(1, 1), (1, 8)]
    assert record["measurements"]
    for row in record["measurements"]:
        assert len(row["windows_per_s"]) == 3
        assert row["verdict"] in ("steady", "disturbed")
        assert 0 <= row["others_cpu_percent"] <= 100
    # On a slow machine 300 answers take longer than their share of the minute.
    shortened = any(row["shortened"] for row in record["measurements"])
    told = capsys.readouterr().err
    assert ("measured in shorter windows than asked, to hold `load_test.minutes` (1): " in told) == shortened


def test_a_time_in_which_nothing_can_be_measured_names_the_lines_to_set(segmentation):
    share = r"`load_test\.minutes: 0\.01` is 0\.3 s for each of 2 points; .* set `load_test\.minutes: 0\.2`"
    with pytest.raises(SlipwayError, match=f"measured no configuration: {share}"):
        load_tested(segmentation, concurrency=[1, 8], instances=[1], requests=300, minutes=0.01)
