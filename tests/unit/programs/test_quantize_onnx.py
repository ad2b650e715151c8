import tempfile

import numpy as np
import onnx
import pytest
from helpers.models.tiny_network import OPTIONS, exported, photographs, record_of
from onnx import numpy_helper
from PIL import Image

import quantize_onnx
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_structure import constants_of
from slipway.onnx.quantized import inspect, lowered

CASES = [
    ("float32", 17, "int8", "entropy"),
    ("uint8", 17, "int8", "max"),
    ("float32", 20, "int8-fp16", "max"),
    ("uint8", 17, "fp8", "max"),
]


def quantize(base, images, case, output, *more):
    input_dtype, _, variant, method = case
    files = f"--onnx {base} --onnx-record {base}.json --output {output} --record {output}.json --images {images}"
    samples = base.parent / f"{input_dtype}.samples"
    files += f" --samples {samples}.npz --samples-record {samples}.json"
    options = f"--variant {variant} --method {method} --min-samples 8 --input {input_dtype}"
    quantize_onnx.main(quantize_onnx.parse_arguments([*files.split(), *options.split(), *OPTIONS, *more]))
    return output


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs") / "calibration")


@pytest.fixture(scope="module")
def files(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("quantized")
    made = {}
    for case in CASES:
        base, _ = exported(folder, *case[:2])
        made[case] = base, quantize(base, images, case, folder / f"{base.stem}.{case[2]}.onnx")
    return made


def parents(model):
    return {name: node for node in model.graph.node for name in node.output}


def test_every_convolution_and_the_shortcut_read_quantised_values(files):
    model = onnx.load(files[CASES[0]][1])
    made_by = parents(model)
    kinds = lambda node: [made_by[name].op_type if name in made_by else "" for name in node.input]  # noqa: E731
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 5  # the classifier is one too
    assert all(kinds(node)[:2] == ["DequantizeLinear"] * 2 for node in convolutions)
    (add,) = (node for node in model.graph.node if node.op_type == "Add")
    assert sorted(kinds(add)) == ["Conv", "DequantizeLinear"]
    (pool,) = (node for node in model.graph.node if node.op_type == "MaxPool")
    assert kinds(pool) == ["DequantizeLinear"]
    assert not [node for node in model.graph.node if node.op_type == "Gemm"]


def arrays_of(model):
    return {name: onnx.numpy_helper.to_array(tensor) for name, tensor in constants_of(model.graph).items()}


@pytest.mark.parametrize("case", CASES[:3])
def test_scales_are_symmetric_and_of_one_tensor_or_one_channel(files, case):
    model = onnx.load(files[case][1])
    constants, made_by = arrays_of(model), parents(model)
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            assert scale.size == (1 if node.input[0] in made_by or node.input[0] == "input" else len(scale))
            assert scale.dtype == (np.float16 if case[2] == "int8-fp16" else np.float32)
            assert not zero.any()
            assert zero.dtype == np.int8


def test_int8_keeps_the_opset_and_ir_that_tensorrt_8_reads(files):
    model = onnx.load(files[CASES[0]][1])
    assert model.opset_import[0].version == 17
    assert model.ir_version == 8


def test_pixels_are_normalised_before_they_are_quantised(files):
    model = onnx.load(files[CASES[1]][1])
    made_by = parents(model)
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    path = []
    while node:
        path.append(node.op_type)
        node = made_by.get(node.input[0])
    assert path == ["Conv", "DequantizeLinear", "QuantizeLinear", "Div", "Sub", "Div", "Cast"]


@pytest.mark.parametrize("case", CASES)
def test_the_record_describes_the_file(files, images, case):
    base, path = files[case]
    record = record_of(path)
    assert record["variant"] == case[2]
    assert (record["sha256"], record["source_sha256"]) == (sha256(path), sha256(base))
    assert (record["bytes"], record["fp32_bytes"]) == (path.stat().st_size, base.stat().st_size)
    assert record["interface"]["inputs"][0]["dtype"] == case[0]
    calibration = record["calibration"]
    assert (calibration["samples"], calibration["method"], len(calibration["sha256"])) == (12, case[3], 64)
    assert 0 < record["agreement"]["relative_error"] < 0.1
    counted = record["quantized"]
    left = len(counted["compute_nodes_left"])
    assert counted["compute_nodes"] + left == 5
    # In FP8 ModelOpt leaves convolutions of few channels alone: the stem's 3, the classifier's 16.
    assert counted["compute_nodes"] == (3 if case[2] == "fp8" else 5)


def test_16_bits_beside_int8_make_a_smaller_file(files):
    record = record_of(files[CASES[2]][1])
    assert record["bytes"] < 0.6 * record["fp32_bytes"]


def test_other_photographs_give_other_scales(files, images, tmp_path):
    base, path = files[CASES[1]]
    dark = tmp_path / "dark"
    dark.mkdir()
    for file in sorted(images.rglob("*.png")):
        Image.open(file).point(lambda value: value // 8).save(dark / file.name)
    other = quantize(base, dark, CASES[1], tmp_path / "dark.onnx")
    first, second = (activation_scales(onnx.load(file)) for file in (path, other))
    assert len(first) == len(second)
    assert not np.allclose(first, second, rtol=0.05)
    assert record_of(path)["calibration"]["sha256"] != record_of(other)["calibration"]["sha256"]


def activation_scales(model):
    constants = arrays_of(model)
    scales = [constants[node.input[1]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return [float(scale) for scale in scales if scale.ndim == 0]


def test_nothing_is_left_behind(files, images, tmp_path, monkeypatch):
    base, _ = files[CASES[1]]
    place = tmp_path / "work"
    temporary = tmp_path / "temporary"
    place.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = names(base.parent)
    quantize(base, images, CASES[1], place / "out.onnx")
    assert names(place) == ["out.onnx", "out.onnx.data", "out.onnx.json"]
    assert names(base.parent) == before
    assert names(temporary) == []


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("fault", ["missing", "empty", "too few", "broken"])
def test_no_scales_without_the_users_photographs(files, tmp_path, fault):
    folder = tmp_path / "calibration"
    if fault == "empty":
        folder.mkdir()
    elif fault != "missing":
        photographs(folder, count=3 if fault == "too few" else 12)
    if fault == "broken":
        (folder / "04.png").write_bytes(b"")
    with pytest.raises(SlipwayError) as caught:
        quantize(files[CASES[0]][0], folder, CASES[0], tmp_path / "out.onnx")
    assert str(folder / "04.png" if fault == "broken" else folder) in str(caught.value)
    few = f"{folder}, gives 3 sample(s), and at least 8 are needed to measure the ranges of activations"
    assert (few in str(caught.value)) == (fault == "too few")
    assert not (tmp_path / "out.onnx").exists()


def test_another_input_format_than_the_exported_one_is_refused(files, images, tmp_path):
    base, _ = files[CASES[0]]
    words = r"calibration: the input input is uint8 \(1, 3, 64, 64\), but the model takes input float32"
    with pytest.raises(SlipwayError, match=words):
        quantize(base, images, CASES[1], tmp_path / "out.onnx")


def test_scales_that_cannot_be_are_refused(files):
    model = onnx.load(files[CASES[0]][1])
    node = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    scale = next(weight for weight in model.graph.initializer if weight.name == node.input[1])
    for value in (0.0, -1.0, np.inf, np.nan):
        scale.CopyFrom(numpy_helper.from_array(np.full(scale.dims, value, np.float32), scale.name))
        with pytest.raises(SlipwayError, match="not finite and positive"):
            quantize_onnx.require_quantized(inspect(model))


def test_a_graph_that_stayed_as_it_was_is_refused(files):
    counted = inspect(onnx.load(files[CASES[0]][0]))
    assert (counted.compute_nodes, len(counted.compute_nodes_left)) == (0, 5)
    with pytest.raises(SlipwayError, match="only 0 of 5 compute nodes were quantised"):
        quantize_onnx.require_quantized(counted)


def test_a_graph_that_needs_its_opset_stays_in_it(files, tmp_path):
    model = onnx.load(files[CASES[2]][1])
    assert lowered(model, 13, 7, tmp_path).opset_import[0].version == model.opset_import[0].version


def test_samples_of_the_user_give_the_scales_with_or_without_targets(tmp_path):
    base, _ = exported(tmp_path, "float32", 17)
    pictures = np.random.default_rng(0).standard_normal((12, 3, 64, 64), np.float32)
    np.savez(tmp_path / "like_those_to_come.npz", input=pictures, label=["text"] * 12)
    output = tmp_path / "int8.onnx"
    files = f"--onnx {base} --onnx-record {base}.json --output {output} --record {output}.json --variant int8"
    files += f" --samples {tmp_path}/float32.samples.npz --files {tmp_path}/like_those_to_come.npz --batched"
    files += f" --targets label absent --samples-record {tmp_path}/float32.samples.json"
    with pytest.raises(SlipwayError, match=r"like_those_to_come.npz, gives 12 sample\(s\), and at least 32 are needed"):
        quantize_onnx.main(quantize_onnx.parse_arguments([*files.split(), "--method=max"]))
    assert not output.exists()
    quantize_onnx.main(quantize_onnx.parse_arguments([*files.split(), "--method=max", "--min-samples=8"]))
    record = record_of(output)
    assert (record["calibration"]["samples"], record["calibration"]["method"]) == (12, "max")
    assert record["quantized"]
