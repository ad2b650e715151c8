import json

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.models.random_images import photograph_batch
from helpers.models.served_pictures import random_pictures
from helpers.models.tiny_network import CONTRACTS, CROP, PREPROCESS, exported, record_of
from onnx import numpy_helper

import cast_onnx
from slipway.classification.images import sample_photograph
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.onnx.modelopt import agreement_with_base

CASES = [("float32", 17, "fp16"), ("uint8", 17, "fp16"), ("float32", 20, "fp16"), ("uint8", 17, "bf16")]


def cast(base, variant, output, *more):
    files = f"--onnx {base} --onnx-record {base}.json --output {output} --record {output}.json".split()
    dtype = record_of(base)["interface"]["inputs"][0]["dtype"]
    samples = f"{base.parent}/{dtype}.samples.npz"
    cast_onnx.main(cast_onnx.parse_arguments([*files, "--variant", variant, "--samples", samples, *more]))
    return output


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cast")
    made = {}
    for input_dtype, opset, variant in CASES:
        base, _ = exported(folder, input_dtype, opset)
        made[input_dtype, opset, variant] = base, cast(base, variant, folder / f"{base.stem}.{variant}.onnx")
    return made


@pytest.mark.parametrize("case", CASES)
def test_only_the_tensors_in_between_change_their_type(files, case):
    base, lowered = (onnx.load(path) for path in files[case])
    for before, after in ((base.graph.input, lowered.graph.input), (base.graph.output, lowered.graph.output)):
        assert before[0].name == after[0].name
        assert before[0].type.tensor_type.elem_type == after[0].type.tensor_type.elem_type
        assert after[0].type.tensor_type.shape.dim[0].dim_param
    wanted = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}[case[2]]
    kernels = {node.input[1] for node in lowered.graph.node if node.op_type in ("Conv", "Gemm")}
    types = {weight.data_type for weight in lowered.graph.initializer if weight.name in kernels}
    assert types == {wanted}


@pytest.mark.parametrize("case", CASES[:3])
def test_fp16_answers_a_photograph_nearly_as_fp32(files, case):
    batch = photograph_batch([sample_photograph()] * 3, PREPROCESS, case[0])
    base, lowered = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": batch})[0]
        for path in files[case]
    )
    assert np.linalg.norm(lowered - base) / np.linalg.norm(base) < 5e-3
    assert not np.array_equal(lowered, base)


@pytest.mark.parametrize("case", CASES)
def test_the_record_describes_the_file(files, case):
    base, path = files[case]
    record = record_of(path)
    assert record["variant"] == case[2]
    assert (record["sha256"], record["source_sha256"]) == (sha256(path), sha256(base))
    assert (record["bytes"], record["fp32_bytes"]) == (path.stat().st_size, base.stat().st_size)
    assert record["bytes"] < 0.75 * record["fp32_bytes"]
    assert record["interface"]["inputs"][0]["dtype"] == case[0]
    assert record["calibration"] is None
    assert record["operators"] == record_of(base)["operators"] == {}
    # BF16 has three bits of mantissa less.
    assert record["agreement"]["samples"] == 9
    assert 1e-5 < record["agreement"]["relative_error"] < {"fp16": 5e-3, "bf16": 5e-2}[case[2]]


def test_tensorrt_8_can_read_fp16_of_an_old_opset(files):
    model = onnx.load(files["float32", 17, "fp16"][1])
    assert model.opset_import[0].version == 17
    assert model.ir_version == 8


def test_a_weight_that_fp16_cannot_hold_stays_fp32(tmp_path):
    base, record = exported(tmp_path)
    onnx.save(with_bias(onnx.load(base), 1e30), base)
    record.write_text(json.dumps({**json.loads(record.read_text()), "sha256": sha256(base)}))
    lowered = cast(base, "fp16", tmp_path / "large.onnx")
    assert record_of(lowered)["agreement"]["relative_error"] < 1e-3


def test_infinite_answers_are_refused(files):
    base, lowered = (onnx.load(path) for path in files["float32", 17, "fp16"])
    with pytest.raises(SlipwayError, match="beyond the range of the lower precision"):
        agreement_with_base(base, with_bias(lowered, np.inf), CONTRACTS["float32"], random_pictures(CROP, 2))


def with_bias(model, value):
    """Return the model with another value in every place of its classifier's bias."""
    classifier = next(node for node in model.graph.node if node.op_type == "Gemm")
    bias = next(weight for weight in model.graph.initializer if weight.name == classifier.input[2])
    bias.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(bias), value), bias.name))
    return model


def test_an_edited_file_is_refused(files, tmp_path):
    base, _ = files["float32", 17, "fp16"]
    edited = tmp_path / "edited.onnx"
    edited.write_bytes(base.read_bytes()[:-1])
    (tmp_path / "edited.onnx.json").write_text(base.with_name(f"{base.name}.json").read_text())
    with pytest.raises(SlipwayError, match="not the file of its record"):
        cast(edited, "fp16", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
