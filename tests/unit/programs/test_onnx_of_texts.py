"""A network of texts: its ONNX file takes every length, with the axes of the contract; what fixes one is told."""

import onnx
import pytest
import torch
from helpers.models.canonical_weights import write_weights
from helpers.models.served_pictures import write_interface
from helpers.models.text_network import TEXT_STATED, TEXTS, Text
from helpers.models.tiny_network import record_of

import cast_onnx
import export_onnx
from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.onnx.export import export, require_dynamic_axes
from slipway.onnx.modelopt import agreement_with_base
from slipway.onnx.onnx_files import tensor_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of an exported network of texts, its contract, and the options for its interface."""
    folder = tmp_path_factory.mktemp("texts")
    contract = find_contract(Text().eval(), TEXTS, TEXT_STATED)
    inputs = {name: {"dtype": "int64", "shape": [1, 5]} for name in TEXTS[0]}
    write_weights(folder, Text(), f"{Text.__module__}:Text", inputs)
    options = f"--weights {folder}/weights.safetensors --weights-record {folder}/weights.json --opset 20"
    options += f" --output {folder}/text.onnx --record {folder}/text.onnx.json"
    interface = write_interface(folder, contract, TEXTS)
    export_onnx.main(export_onnx.parse_arguments([*options.split(), *interface]))
    return folder, contract, interface


def test_the_file_has_the_axes_of_the_contract(made):
    folder, contract, _ = made
    graph = onnx.load(folder / "text.onnx").graph
    for tensors, values in ((contract.inputs, graph.input), (contract.outputs, graph.output)):
        assert [tensor_of(value).in_words() for value in values] == [tensor.in_words() for tensor in tensors]


def test_it_was_compared_at_each_size_of_the_axis_and_on_real_samples(made):
    record = record_of(made[0] / "text.onnx")
    assert list(record["agreement"]) == [
        *("batch 1", "batch 2", "batch 5"),
        *("sequence 2", "sequence 8", "sequence 16", "samples", "other values"),
    ]
    assert all(set(figures["outputs"]) == {"logits", "hidden"} for figures in record["agreement"].values())
    assert record["batch_independence"]["by_padding"] < 1e-5
    assert record["interface"]["axes"] == {"sequence": {"min": 2, "opt": 8, "max": 16}}


def test_a_network_that_numbers_the_places_of_any_length_is_lowered_to_fp16(made):
    folder, _, interface = made
    options = f"--onnx {folder}/text.onnx --onnx-record {folder}/text.onnx.json --variant fp16"
    options += f" {' '.join(interface[2:])} --output {folder}/low.onnx --record {folder}/low.onnx.json"
    cast_onnx.main(cast_onnx.parse_arguments(options.split()))
    assert "Range" in [node.op_type for node in onnx.load(folder / "low.onnx").graph.node]
    outputs = record_of(folder / "low.onnx")["agreement"]["outputs"]
    assert all(0 < outputs[name]["relative_error"] < 2e-3 for name in ("logits", "hidden"))


class Numbered(torch.nn.Module):
    """It adds an embedding of the places to that of the tokens; `high` is a further summand."""

    def __init__(self, high=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.positions, self.high = torch.nn.Embedding(30, 4), torch.nn.Embedding(16, 4), high

    def forward(self, input_ids, attention_mask):
        places = torch.arange(input_ids.shape[1])
        return ((self.tokens(input_ids) + self.positions(places) + self.high) * attention_mask[..., None]).sum(1)


# In FP16 the sums of 9000 and an embedding have steps of 8.
@pytest.mark.parametrize(("high", "element"), [(0.0, onnx.TensorProto.FLOAT16), (9000.0, onnx.TensorProto.FLOAT)])
def test_the_older_exporter_numbers_them_too_and_large_values_stay_fp32(tmp_path, high, element):
    contract = find_contract(Numbered(high).eval(), TEXTS, TEXT_STATED)
    export(ServedNetwork(Numbered(high), contract), contract, TEXTS, 17, tmp_path / "text.onnx")
    lowered = cast_onnx.lowered(tmp_path / "text.onnx", "fp16", TEXTS)
    figures, _ = agreement_with_base(onnx.load(tmp_path / "text.onnx"), lowered, contract, TEXTS)
    assert {"Range", "Gather"} <= {node.op_type for node in lowered.graph.node}
    assert 0 < figures["relative_error"] < 1e-3
    values = onnx.shape_inference.infer_shapes(lowered).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    multiplied = next(node for node in lowered.graph.node if node.op_type == "Mul")
    assert types[multiplied.output[0]] == element


def test_a_file_that_autocast_cannot_lower_is_told_in_one_sentence(made):
    with pytest.raises(SlipwayError, match=r"AutoCast cannot lower the file to fp16 \(.*attention_mask") as caught:
        cast_onnx.lowered(made[0] / "text.onnx", "fp16", [{"input_ids": TEXTS[0]["input_ids"]}])
    assert "\n" not in str(caught.value)


class OfOneLength(torch.nn.Module):
    """It treats texts of the usual length otherwise."""

    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Embedding(30, 4)

    def forward(self, input_ids, attention_mask):
        hidden = self.tokens(input_ids) * attention_mask[..., None]
        if input_ids.shape[1] == 8:
            hidden = hidden * 2
        return hidden.sum(1)


def test_an_axis_that_the_code_fixes_is_told_with_its_line(tmp_path):
    contract = find_contract(OfOneLength().eval(), TEXTS, TEXT_STATED)
    network = ServedNetwork(OfOneLength(), contract)
    export(network, contract, TEXTS, 20, tmp_path / "text.onnx")
    with pytest.raises(SlipwayError, match=r"fixed the axis sequence at 8: .* at .*: if input_ids\.shape\[1\] == 8"):
        require_dynamic_axes(network, contract, TEXTS, tmp_path / "text.onnx")
