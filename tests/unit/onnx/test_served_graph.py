"""From an ONNX file alone to the contract and the graph that is served, as for a network of PyTorch."""

import argparse

import numpy as np
import onnx
import pytest
from helpers.onnx_graphs import classifier, model, noise, saved, tensor, weights
from onnx import TensorProto, helper

from build_engine import require_kernels
from export_onnx import compare_with_pytorch, exported, require_valid
from slipway.classification.classifier_contract import contract_of
from slipway.classification.images import Preprocessing
from slipway.contract.contract import Contract, Normalisation, Tensor
from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.models.programs.onnx_file import load, take
from slipway.networks.batch_independence import require_batch_independence
from slipway.onnx.foreign_file import operators_of
from slipway.onnx.modelopt import base_record
from slipway.onnx.onnx_files import described, opset_of, session_of

ANY = [{"x": noise(1, 2, 4, seed=seed)} for seed in range(3)]


def network(folder, made, samples=ANY):
    """Return the network of a made file."""
    take(saved(made, folder / "model.onnx"), folder / "program", samples)
    return load(folder / "program")


def served(folder, taken, contract, samples, opset=20):
    """Return the exported graph, after the comparisons of the job."""
    path, behind = folder / "served.onnx", ServedNetwork(taken, contract)
    require_batch_independence(behind, contract, samples)
    frozen = exported(behind, contract, samples, opset, path)
    require_valid(path, contract)
    assert compare_with_pytorch(behind, contract, samples, path, frozen)
    return onnx.load(path)


def test_the_contract_of_a_file_has_its_names_dtypes_and_a_batch(tmp_path):
    taken = network(tmp_path, classifier(last="Softmax"))
    contract = find_contract(taken, ANY, {"outputs": {"scores": "probabilities"}})
    assert [each.in_words() for each in (*contract.inputs, *contract.outputs)] == [
        "x float32 (batch, 2, 4)",
        "scores float32 (batch, 3)",
    ]
    assert contract.outputs[0].meaning.reason.endswith("the network ends in a softmax")
    graph = served(tmp_path, taken, contract, ANY)
    assert [size.dim_param for size in graph.graph.output[0].type.tensor_type.shape.dim] == ["batch", ""]


def test_a_file_whose_batch_stays_fixed_is_served_without_a_batch_axis(tmp_path):
    nodes = [helper.make_node("Concat", ["x", "token"], ["y"], axis=1)]
    made = model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 3, 4])], weights(token=noise(1, 1, 4)))
    taken = network(tmp_path, made)
    contract = find_contract(taken, ANY, {})
    assert not contract.batched
    assert [each.shape for each in (*contract.inputs, *contract.outputs)] == [(1, 2, 4), (1, 3, 4)]
    served(tmp_path, taken, contract, ANY)


def test_outputs_are_chosen_and_renamed_by_the_configuration(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Neg", ["x"], ["b"]),
    ]
    made = model(nodes, [tensor("x", ["N", 2, 4])], [tensor("a", ["N", 2, 4]), tensor("b", ["N", 2, 4])])
    taken = network(tmp_path, made)
    graph = served(tmp_path, taken, find_contract(taken, ANY, {"outputs": {"b": "tensor"}}), ANY)
    assert [node.op_type for node in graph.graph.node] == ["Neg"]
    # New names, of which one is that of the other output in the file.
    graph = served(tmp_path, taken, find_contract(taken, ANY, {"outputs": {"first": "tensor", "a_b": "tensor"}}), ANY)
    answers = session_of(graph).run(["first", "a_b"], ANY[0])
    assert np.array_equal(answers[1], -ANY[0]["x"])


def test_answers_in_other_types_are_cast_as_those_of_a_network_are(tmp_path):
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)]
    made = model(nodes, [tensor("x", ["N", 2, 4])], [tensor("y", ["N", 2, 4], TensorProto.DOUBLE)])
    taken = network(tmp_path, made)
    contract = find_contract(taken, ANY, {})
    assert contract.outputs[0].dtype == "float32"
    assert session_of(served(tmp_path, taken, contract, ANY)).run(["y"], ANY[0])[0].dtype == np.float32


def test_pixels_are_normalised_in_front_of_the_graph(tmp_path):
    nodes = [helper.make_node("GlobalAveragePool", ["pic:0"], ["m"]), helper.make_node("Flatten", ["m"], ["y"])]
    made = model(nodes, [tensor("pic:0", [1, 3, 8, 8])], [tensor("y", [1, 3])])
    pixels = [{"input": np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), np.uint8)}]
    taken = network(tmp_path, made, [{"input": pixels[0]["input"].astype(np.float32)}])
    how = Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    contract = Contract(
        (Tensor("input", "uint8", ("batch", 3, 8, 8), normalisation=how),), (Tensor("logits", "float32", ("batch", 3)),)
    )
    (answer,) = session_of(served(tmp_path, taken, contract, pixels)).run(["logits"], pixels[0])
    means = pixels[0]["input"].mean((2, 3)) / 255
    assert np.allclose(answer, (means - how.mean) / how.std, atol=1e-5)


@pytest.mark.parametrize(("own", "asked", "now"), [(9, 20, 20), (11, 17, 17), (13, 20, 13), (23, 20, 20), (20, 17, 17)])
def test_an_opset_that_the_runtimes_do_not_read_is_converted(tmp_path, own, asked, now):
    taken = network(tmp_path, classifier(opset=own))
    graph = served(tmp_path, taken, find_contract(taken, ANY, {}), ANY, asked)
    assert opset_of(graph) == now


def test_an_opset_that_cannot_be_converted_is_told(tmp_path):
    nodes = [helper.make_node("Gelu", ["x"], ["y"])]  # of opset 20
    taken = network(tmp_path, model(nodes, [tensor("x", ["N", 2, 4])], [tensor("y", ["N", 2, 4])], opset=20, ir=10))
    with pytest.raises(SlipwayError, match="has opset 20, but the runtimes of all targets read 17 at most"):
        served(tmp_path, taken, find_contract(taken, ANY, {}), ANY, 17)


def test_answers_that_depend_on_the_batch_are_told_with_the_way_out(tmp_path):
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=0)]
    taken = network(tmp_path, model(nodes, [tensor("x", ["N", 2, 4])], [tensor("y", ["N", 2, 4])]))
    with pytest.raises(SlipwayError, match=r"it is so in ONNX Runtime: .* or state shapes without `batch`"):
        served(tmp_path, taken, find_contract(taken, ANY, {}), ANY)


def test_failures_speak_of_the_file_and_never_of_pytorch(tmp_path):
    taken = network(tmp_path, classifier(batch="N"))
    for samples in (
        [{"x": noise(1, 2, 5)}],
        [{"x": noise(1, 2, 4).astype(np.float64)}],
        [{**ANY[0], "z": noise(1, 1)}],
    ):
        with pytest.raises(SlipwayError) as caught:
            find_contract(taken, samples, {})
        assert "the ONNX file takes x" in str(caught.value)
        assert not any(word in str(caught.value) for word in ("PyTorch", "forward", "factory", "architecture"))


def test_operators_of_other_domains_are_refused_for_a_runtime_without_them(tmp_path):
    nodes = [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]
    shape = ["N", 2, 4]
    made = model(nodes, [tensor("x", shape)], [tensor("y", shape)], domains={"com.microsoft": 1})
    taken = network(tmp_path, made)
    served(tmp_path, taken, find_contract(taken, ANY, {}), ANY)
    record = {"operators": operators_of(onnx.load(tmp_path / "served.onnx"))}
    require_kernels(record, "onnxruntime")
    with pytest.raises(SlipwayError, match=r"com\.microsoft \(Gelu\), for which only .* not OpenVINO; set `runtime"):
        require_kernels(record, "openvino")


def test_no_other_precision_is_made_of_a_quantised_file(tmp_path):
    scale, zero = weights(scale=np.float32(0.05), zero=np.int8(0))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    taken = network(tmp_path, model(nodes, [tensor("x", [1, 2, 4])], [tensor("y", [1, 2, 4])], [scale, zero]))
    path = tmp_path / "served.onnx"
    served(tmp_path, taken, find_contract(taken, ANY, {}), ANY)
    write_json(tmp_path / "record.json", described(path))
    arguments = argparse.Namespace(onnx=path, onnx_record=tmp_path / "record.json", variant="fp16")
    with pytest.raises(SlipwayError, match="quantised already, so no fp16 is made of it; take only fp32"):
        base_record(arguments)


def test_a_photographs_classifier_is_found_whatever_its_names(tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["image:0"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["numbers"]),
        helper.make_node("Softmax", ["numbers"], ["Identity:0"]),
    ]
    made = model(nodes, [tensor("image:0", [1, 3, 8, 8])], [tensor("Identity:0", [1, 5])], weights(w=noise(3, 5)))
    samples = [{"input": noise(1, 3, 8, 8, seed=seed)} for seed in range(3)]
    taken = network(tmp_path, made, samples)
    pictures = np.concatenate([sample["input"] for sample in samples])
    record = {"architecture": None, "arguments": {}}
    contract, labels = contract_of(taken, pictures, Preprocessing(8, 8, (0, 0, 0), (1, 1, 1)), record, None, None)
    assert [each.in_words() for each in (*contract.inputs, *contract.outputs)] == [
        "input float32 (batch, 3, 8, 8)",
        "logits float32 (batch, 5)",
    ]
    assert contract.outputs[0].meaning.kind == "probabilities"
    assert labels == [f"class {index}" for index in range(5)]
    assert served(tmp_path, taken, contract, samples).graph.input[0].name == "input"
