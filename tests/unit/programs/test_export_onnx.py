import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.models.random_images import photograph_batch
from helpers.models.tiny_network import CROP, PREPROCESS, exported, record_of

from slipway.classification.images import sample_photograph
from slipway.keys.code_hash import SCRIPTS

OPSETS = (17, 20)  # of the TorchScript exporter and of the newer one


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return {(dtype, opset): exported(folder, dtype, opset)[0] for dtype in ("float32", "uint8") for opset in OPSETS}


def answer(path, batch):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": batch})[0]


@pytest.mark.parametrize("opset", OPSETS)
def test_pixels_are_answered_as_normalised_values(files, opset):
    normalised, pixels = (photograph_batch([sample_photograph()], PREPROCESS, name) for name in ("float32", "uint8"))
    wanted = answer(files["float32", opset], normalised)
    assert wanted.shape == (1, 16)
    np.testing.assert_allclose(answer(files["uint8", opset], pixels), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_the_record_describes_the_file(files, input_dtype, opset):
    path = files[input_dtype, opset]
    record, model = record_of(path), onnx.load(path)
    assert record["variant"] == "fp32"
    assert record["fp32_bytes"] == record["bytes"] == path.stat().st_size
    assert record["interface"]["inputs"][0]["dtype"] == input_dtype
    assert record["interface"]["inputs"][0]["shape"] == ["batch", 3, CROP, CROP]
    assert record["opset"] == model.opset_import[0].version == opset
    assert record["ir_version"] == model.ir_version
    assert record["nodes"] == len(model.graph.node)
    assert list(record["agreement"]) == ["batch 1", "batch 2", "batch 5", "samples", "other values"]
    assert all(found["relative_error"] < 1e-5 for found in record["agreement"].values())


@pytest.mark.parametrize("opset", OPSETS)
def test_pixels_are_cast_at_once(files, opset):
    model = onnx.load(files["uint8", opset])
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    readers = [node for node in model.graph.node if "input" in node.input]
    assert [node.op_type for node in readers] == ["Cast"]
    assert readers[0].attribute[0].i == onnx.TensorProto.FLOAT


def test_no_file_says_where_the_sources_lie(files):
    """Else each clone's file would be another, and no engine of a moved clone could be kept."""
    folders = [str(SCRIPTS.parent).encode(), b"site-packages"]
    assert not [path for path in files.values() for folder in folders if folder in path.read_bytes()]


def test_an_old_opset_has_the_ir_that_tensorrt_8_reads(files):
    assert onnx.load(files["float32", 17]).ir_version <= 8


def test_what_can_be_computed_before_is_folded(files):
    kinds = {node.op_type for node in onnx.load(files["float32", 17]).graph.node}
    assert kinds <= {"Conv", "Relu", "MaxPool", "Add", "ReduceMean", "GlobalAveragePool", "Reshape", "Flatten", "Gemm"}
