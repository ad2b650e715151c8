"""A tensor of the contract may have the name of an operator, as the exporter names the tensors inside a graph."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork, answers_of
from slipway.onnx.export import export

SAMPLES = [{"linear": np.random.default_rng(seed).standard_normal((1, 6), np.float32)} for seed in range(3)]


class Named(torch.nn.Module):
    """Its input and its outputs have the names of operators inside it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 4), torch.nn.Linear(4, 3)

    def forward(self, linear):
        inner = torch.relu(self.first(linear))
        scores = self.second(inner)
        return {"relu": scores.sigmoid(), "sigmoid": inner, "linear_1": scores.sum(1, keepdim=True)}


class Repeated(Named):
    """It returns one tensor under two names, and its input."""

    def forward(self, linear):
        inner = torch.relu(self.first(linear))
        return {"relu": inner, "copy": inner, "same": linear}


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("kind", [Named, Repeated])
def test_each_output_is_pytorchs(kind, opset, tmp_path):
    torch.manual_seed(0)
    network = kind().eval()
    contract = find_contract(network, SAMPLES, {})
    served, path = ServedNetwork(network, contract), tmp_path / "network.onnx"
    export(served, contract, SAMPLES, opset, path)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in contract.outputs]
    assert [value.name for value in session.get_inputs()] == ["linear"]
    assert [value.name for value in session.get_outputs()] == names
    for sample in SAMPLES:
        answers = dict(zip(names, session.run(names, sample), strict=True))
        for name, expected in answers_of(served, contract, sample).items():
            np.testing.assert_allclose(answers[name], expected, rtol=1e-5, atol=1e-6)
