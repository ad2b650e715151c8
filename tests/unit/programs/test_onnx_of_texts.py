"""A network of texts: its ONNX file takes every length, with the axes of the contract; what fixes one is told."""

import onnx
import pytest
import torch
from helpers.models.served_pictures import write_interface
from helpers.models.text_network import TEXT_STATED, TEXTS, Text
from helpers.models.tiny_network import record_of
from safetensors.torch import save_file

import cast_onnx
import export_onnx
from slipway.contract.finding import find_contract
from slipway.contract.network import ServedNetwork
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.onnx.export import export, require_dynamic_axes
from slipway.onnx.onnx_files import in_words


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of an exported network of texts, its contract, and the options for its interface."""
    folder = tmp_path_factory.mktemp("texts")
    contract = find_contract(Text().eval(), TEXTS, TEXT_STATED)
    save_file(Text().state_dict(), folder / "weights.safetensors")
    inputs = {name: {"dtype": "int64", "shape": [1, 5]} for name in TEXTS[0]}
    about = {"origin": "checkpoint", "sha256": "", "architecture": f"{Text.__module__}:Text"}
    write_json(folder / "weights.json", {**about, "arguments": {}, "inputs": inputs})
    options = f"--weights {folder}/weights.safetensors --weights-record {folder}/weights.json --opset 20"
    options += f" --output {folder}/text.onnx --record {folder}/text.onnx.json"
    interface = write_interface(folder, contract, TEXTS)
    export_onnx.main(export_onnx.parse_arguments([*options.split(), *interface]))
    return folder, contract, interface


def test_the_file_has_the_axes_of_the_contract(made):
    folder, contract, _ = made
    graph = onnx.load(folder / "text.onnx").graph
    for tensors, values in ((contract.inputs, graph.input), (contract.outputs, graph.output)):
        assert [in_words(value) for value in values] == [tensor.in_words() for tensor in tensors]


def test_it_was_compared_at_each_size_of_the_axis_and_on_real_samples(made):
    record = record_of(made[0] / "text.onnx")
    assert list(record["agreement"]) == [
        *("batch 1", "batch 2", "batch 5"),
        *("sequence 2", "sequence 8", "sequence 16", "samples", "other values"),
    ]
    assert all(set(figures["outputs"]) == {"logits", "hidden"} for figures in record["agreement"].values())
    assert record["company"]["by_padding"] < 1e-5
    assert record["interface"]["axes"] == {"sequence": {"min": 2, "opt": 8, "max": 16}}


def test_a_file_that_autocast_cannot_lower_is_told_in_one_sentence(made):
    folder, _, interface = made
    options = f"--onnx {folder}/text.onnx --onnx-record {folder}/text.onnx.json --variant fp16"
    options += f" {' '.join(interface[2:])} --output {folder}/low.onnx --record {folder}/low.onnx.json"
    # ONNX Runtime, which AutoCast runs the model in, loses the places when each tensor is an output.
    with pytest.raises(SlipwayError, match=r"AutoCast cannot lower the file to fp16 \(.*arange"):
        cast_onnx.main(cast_onnx.parse_arguments(options.split()))
    assert not (folder / "low.onnx").exists()


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
