import onnx
import pytest
import torch
from helpers.models.batch_networks import Backbone
from helpers.models.canonical_weights import write_weights
from helpers.models.served_pictures import contract_of, random_pictures, write_interface
from helpers.models.tiny_network import record_of

import export_onnx


class Answering(Backbone):
    """It answers in a type of its own."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = getattr(torch, dtype)

    def forward(self, images):
        return super().forward(images).to(self.dtype)


@pytest.mark.parametrize(("dtype", "opset"), [("float64", 17), ("float16", 17), ("bfloat16", 17), ("float64", 20)])
def test_answers_of_any_width_are_fp32_in_the_file_and_said_to_be_cast(dtype, opset, tmp_path, capsys):
    torch.manual_seed(0)
    write_weights(tmp_path, Answering(dtype), f"{__name__}:Answering", arguments={"dtype": dtype})
    path = tmp_path / "network.onnx"
    weights = ["--weights", f"{tmp_path}/weights.safetensors", "--weights-record", f"{tmp_path}/weights.json"]
    written = ["--opset", str(opset), "--output", str(path), "--record", f"{path}.json"]
    interface = write_interface(tmp_path, contract_of(32, 5), random_pictures(32))
    export_onnx.main(export_onnx.parse_arguments([*weights, *written, *interface]))
    assert onnx.load(path).graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert record_of(path)["answers_in"] == {"logits": dtype}
    assert f"answers with logits in {dtype}; the exported graph casts it to float32" in capsys.readouterr().err
