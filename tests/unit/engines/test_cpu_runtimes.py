import errno

import numpy as np
import onnx
import pytest
from helpers.file_size_limit import no_file_above
from helpers.fresh_interpreter import printed
from helpers.gpu_stand_in.asking import logits, logits_of_all
from helpers.models import named_tensors
from helpers.models.named_tensors import assert_same
from helpers.models.tiny_engine import CLASSES, CROP, tiny_engine, write_onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from slipway.engines.build_strategy import require_precision
from slipway.runtimes import RUNTIMES, runtime

ON_CPU = [name for name, traits in RUNTIMES.items() if not traits.needs_gpu]


def as_int8(name, source, scale):
    """Return the nodes that pass a tensor through int8, and their constants; a scale for each channel, or one."""
    constants = [
        numpy_helper.from_array(np.asarray(scale, np.float32), f"{name}_scale"),
        numpy_helper.from_array(np.zeros(np.shape(scale), np.int8), f"{name}_zero"),
    ]
    steps = [constant.name for constant in constants]
    quantize = helper.make_node("QuantizeLinear", [source, *steps], [f"{name}_int8"], axis=0)
    return [quantize, helper.make_node("DequantizeLinear", [f"{name}_int8", *steps], [name], axis=0)], constants


def write_int8_onnx(path, output="result"):
    """Write a convolution whose input, weights and output are int8 by explicit nodes with FP32 scales.

    With `output` "sums" its output goes on as it is.
    """
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3), dtype=np.float32)
    data, constants = as_int8("data", "input", np.float32(0.05))
    # Half the range: a CPU without VNNI adds two products in 16 bits, which saturate.
    kernel, scales = as_int8("kernel", "weights", np.abs(weights).max(axis=(1, 2, 3)) / 63)
    result, result_scales = as_int8("result", "sums", np.float32(0.2))
    nodes = [
        *data,
        *kernel,
        helper.make_node("Conv", ["data", "kernel"], ["sums"], pads=[1, 1, 1, 1]),
        *result,
        helper.make_node("GlobalAveragePool", [output], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "int8",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, CROP, CROP])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 8])],
        [*constants, *scales, *result_scales, numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)


@pytest.fixture(params=ON_CPU)
def module(request):
    return runtime(request.param)


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("name", ON_CPU)
def test_several_batches_run_as_one(tmp_path, name, input_dtype):
    tiny = tiny_engine(tmp_path, name, input_dtype)
    engine = tiny.engine.load()
    whole = np.random.default_rng(2).integers(0, 256, (6, 3, CROP, CROP)).astype(input_dtype)
    expected = np.concatenate([logits(engine, whole[index : index + 1]).copy() for index in range(6)])
    together = logits_of_all(engine, [whole[:1], whole[1:4], whole[4:]])
    assert together.shape == (6, CLASSES)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(logits_of_all(engine, [whole]), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("given", ["float32", "float64", "int32"])
@pytest.mark.parametrize("name", ON_CPU)
def test_a_batch_of_another_type_is_refused_and_not_cast(tmp_path, name, given):
    tiny = tiny_engine(tmp_path, name, "uint8")
    engine = tiny.engine.load()
    with pytest.raises(ValueError, match="the engine takes input uint8, not"):
        logits_of_all(engine, [tiny.batch.astype(given)])
    assert logits_of_all(engine, [tiny.batch]).shape == (len(tiny.batch), CLASSES)


def test_an_int8_file_runs_in_int8_and_gives_its_answer(tmp_path, module):
    write_int8_onnx(tmp_path / "q.onnx")
    path = tmp_path / ("q.xml" if "openvino" in module.__name__ else "q.onnx.ort.onnx")
    facts = module.build(tmp_path / "q.onnx", path, "int8", {})
    engine = module.Engine(path, "int8")
    assert facts == {"tensors": engine.tensors(), "layers": {"int8": 1}}
    batch = np.random.default_rng(3).standard_normal((2, 3, CROP, CROP), dtype=np.float32)
    expected = ReferenceEvaluator(str(tmp_path / "q.onnx")).run(None, {"input": batch})[0]
    np.testing.assert_allclose(logits(engine, batch), expected, rtol=0.02, atol=0.02)


def test_a_kernel_that_onnx_runtime_could_not_fuse_counts_as_fp32(tmp_path):
    module = runtime("onnxruntime")
    write_int8_onnx(tmp_path / "q.onnx", output="sums")
    assert module.build(tmp_path / "q.onnx", tmp_path / "q.ort.onnx", "int8", {})["layers"] == {"fp32": 1}


def test_a_precision_that_a_runtime_lacks_is_refused_with_those_it_has(tmp_path, module):
    write_onnx(tmp_path / "tiny.onnx", "float32")
    with pytest.raises(ValueError, match=r"fp32.*int8"):
        module.build(tmp_path / "tiny.onnx", tmp_path / "e.xml", "fp8", {})
    assert not (tmp_path / "e.xml").exists()


def test_openvino_sends_no_statistics_from_the_processes_that_serve():
    code = (
        "import slipway.runtimes.openvino; "
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    assert printed(code) == "[]"


def built(module, onnx_file):
    """Return the engine of an ONNX file."""
    path = onnx_file.with_suffix(".xml" if "openvino" in module.__name__ else ".ort.onnx")
    module.build(onnx_file, path, "fp32", {})
    return module.Engine(path, "fp32")


def test_several_inputs_and_outputs_of_any_length_alone_and_as_one(tmp_path, module):
    answer = named_tensors.write_text(tmp_path / "text.onnx")
    engine = built(module, tmp_path / "text.onnx")
    interface = named_tensors.text_interface()
    for side, tensors in engine.tensors().items():
        declared = interface[side]
        assert [(tensor["name"], tensor["dtype"]) for tensor in tensors] == [
            (tensor["name"], tensor["dtype"]) for tensor in declared
        ]
        dynamic = [[-1 if isinstance(size, str) else size for size in tensor["shape"]] for tensor in declared]
        assert [tensor["shape"] for tensor in tensors] == dynamic
    for seed, shape in enumerate([(1, 5), (3, 12), (2, 1), (1, 5)]):
        inputs = named_tensors.texts(*shape, seed=seed)
        assert_same(engine.infer(inputs), answer(inputs))
    requests = [named_tensors.texts(count, 7, seed=count) for count in (2, 1, 3)]
    together = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    assert_same(engine.infer_all(requests), answer(together))
    for wrong in ({"ids": together["ids"]}, together | {"mask": together["mask"].astype(np.float32)}):
        with pytest.raises(ValueError, match="mask"):
            engine.infer(wrong)


def test_integers_that_openvino_would_cut_to_32_bits_are_refused_and_others_are_exact(tmp_path, module):
    """OpenVINO answers for the last 32 bits of a number, ONNX Runtime for all 64."""
    numbers = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])
    next_ones = helper.make_tensor_value_info("next", TensorProto.INT64, ["batch"])
    one = numpy_helper.from_array(np.int64(1), "one")
    graph = helper.make_graph(
        [helper.make_node("Add", ["ids", "one"], ["next"])], "next", [numbers], [next_ones], [one]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), tmp_path / "m.onnx")
    engine = built(module, tmp_path / "m.onnx")
    small, large = np.array([-(2**31), 2**31 - 2]), np.array([7, 2**40])
    assert (engine.infer({"ids": small})["next"] == small + 1).all()
    if "openvino" not in module.__name__:
        assert (engine.infer({"ids": large})["next"] == large + 1).all()
        return
    with pytest.raises(ValueError, match=r"ids has values from 7 to 1099511627776, but OpenVINO .* int64 in int32"):
        engine.infer({"ids": large})


def test_a_network_without_a_batch_axis_and_one_of_whole_pictures(tmp_path, module):
    answer = named_tensors.write_text(tmp_path / "text.onnx", batch=())
    engine = built(module, tmp_path / "text.onnx")
    for length in (4, 1, 9):
        assert_same(engine.infer_all([named_tensors.texts(length)]), answer(named_tensors.texts(length)))
    answer = named_tensors.write_map(tmp_path / "map.onnx")
    engine = built(module, tmp_path / "map.onnx")
    for size in ((1, 16, 24), (2, 33, 20)):
        outputs, expected = engine.infer(named_tensors.images(*size)), answer(named_tensors.images(*size))
        np.testing.assert_allclose(outputs["masks"], expected["masks"], rtol=1e-3, atol=1e-3)
        assert (outputs["best"] == expected["best"]).mean() > 0.99


def test_an_output_keeps_its_name_though_the_compiler_moves_layers(tmp_path, module):
    interface = named_tensors.interface(
        [("wave", "float32", ("batch", "time", 1))], [("voiced", "float32", ("batch", "time"))], {}
    )
    nodes = [
        helper.make_node("Relu", ["wave"], ["rectified"]),
        helper.make_node("Squeeze", ["rectified", "last"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["voiced"]),
    ]
    answer = named_tensors.write(tmp_path / "m.onnx", nodes, {"last": np.int64([-1])}, interface)
    engine = built(module, tmp_path / "m.onnx")
    inputs = {"wave": np.random.default_rng(0).standard_normal((2, 9, 1), dtype=np.float32)}
    assert_same(engine.infer(inputs), answer(inputs))


def test_attention_tells_nothing_of_the_precision_and_weights_do(tmp_path, module):
    interface = named_tensors.interface(
        [("x", "float32", ("batch", "length", 4))], [("y", "float32", ("batch", "length", 4))], {}
    )
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["values"]),
        helper.make_node("Transpose", ["x"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "keys"], ["likeness"]),
        helper.make_node("Softmax", ["likeness"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "values"], ["y"]),
    ]
    weights = np.random.default_rng(0).standard_normal((4, 4), dtype=np.float32)
    named_tensors.write(tmp_path / "m.onnx", nodes, {"weights": weights}, interface)
    require_precision("fp32", built(module, tmp_path / "m.onnx").layers())


def test_an_engine_that_cannot_be_written_to_its_end_is_the_systems_error(tmp_path):
    write_onnx(tmp_path / "m.onnx", "float32")
    with no_file_above(200), pytest.raises(OSError, match="File too large") as caught:
        runtime("openvino").build(tmp_path / "m.onnx", tmp_path / "m.xml", "fp32", {})
    assert caught.value.errno == errno.EFBIG
