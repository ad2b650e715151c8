"""Programs become ONNX files that answer as they do, at any batch, in the opsets of old and new runtimes."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export_onnx import compare_with_pytorch, exported, require_valid
from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.models.programs import program
from slipway.networks.export_failures import why_not_exported

BATCH = torch.export.Dim("batch")
VALUES = np.random.default_rng(0).normal(size=(9, 1, 4)).astype(np.float32)
SAMPLES = [{"x": values} for values in VALUES]
TWO = torch.from_numpy(VALUES[:2, 0])


class Deciding(nn.Module):
    """A network whose branches and loop TorchScript keeps: it loops over the features and looks at their number."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = x
        for _ in range(x.shape[1]):
            hidden = self.first(hidden).tanh()
        if hidden.dim() == 2:
            hidden = self.second(hidden)
        return {"scores": hidden, "total": x.sum(1, keepdim=True)}


class OnValues(nn.Module):
    """A network whose branch depends on a sample's value, so that each sample chooses for the whole batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x[0, 0] > 0):
            return x * 2
        return -x


class Regularised(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm, self.dropout = nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.norm(self.linear(x)))


def as_exported(network, path, batch=BATCH, inputs=TWO):
    dynamic = ({0: batch},) if batch else None
    torch.export.save(torch.export.export(network, (inputs,), dynamic_shapes=dynamic), path)
    return "exported_program"


def as_scripted(network, path):
    torch.jit.script(network).save(path)
    return "torchscript"


def as_traced(network, path):
    torch.jit.trace(network, TWO, strict=False, check_trace=False).save(path)
    return "torchscript"


@pytest.fixture
def served(tmp_path):
    """Return a function that takes the program of a saved network, and returns (the network to serve, its contract)."""

    def serve(save, network, samples=SAMPLES, **stated):
        kind = save(network, tmp_path / "saved.pt2")
        program(kind).take(tmp_path / "saved.pt2", tmp_path / "program", samples)
        loaded = program(kind).load(tmp_path / "program")
        contract = find_contract(loaded, samples, stated)
        return ServedNetwork(loaded, contract), contract

    return serve


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("save", [as_exported, as_scripted, as_traced])
def test_the_onnx_file_answers_as_the_program_at_every_batch(served, tmp_path, save, opset):
    torch.manual_seed(0)
    network, contract = served(save, Deciding().eval())
    path = tmp_path / "program.onnx"
    frozen = exported(network, contract, SAMPLES, opset, path)
    require_valid(path, contract)
    assert set(compare_with_pytorch(network, contract, SAMPLES, path, frozen)) >= {"batch 1", "batch 5", "samples"}
    model = onnx.load(path)
    assert [tensor.name for tensor in model.graph.output] == ["scores", "total"]
    assert {entry.version for entry in model.opset_import if not entry.domain} == {opset}


def test_a_program_with_a_fixed_batch_is_served_with_it_and_says_how_to_have_another(served, tmp_path):
    _, contract = served(lambda *saved: as_exported(*saved, batch=None, inputs=TWO[:1]), nn.Linear(4, 2).eval())
    assert not contract.batched
    assert [tensor.shape for tensor in (*contract.inputs, *contract.outputs)] == [(1, 4), (1, 2)]
    (note,) = program("exported_program").take(tmp_path / "program", tmp_path / "again", SAMPLES)
    assert "takes one size of the first axis (input float32 (1, 4)), with which it is served" in note
    assert 'dynamic_shapes={"...": {0: torch.export.Dim("batch")}}' in note


def test_samples_of_another_size_than_the_program_has_are_told_with_the_export_that_takes_them(served):
    with pytest.raises(SlipwayError) as caught:
        served(lambda *saved: as_exported(*saved, batch=None), nn.Linear(4, 2).eval())
    assert "axis 0 of input takes 2, not 1; export it with this axis dynamic" in str(caught.value)
    assert 'dynamic_shapes={"input": {0: torch.export.Dim("name")}}' in str(caught.value)


def test_samples_of_another_type_than_the_program_has_are_told(served):
    with pytest.raises(SlipwayError, match="input is float32 with 2 axes, not float64 with 2; correct the samples"):
        served(as_exported, nn.Linear(4, 2).eval(), [{"x": values.astype(np.float64)} for values in VALUES])


def test_an_axis_beyond_the_programs_range_is_told(served):
    length = torch.export.Dim("length", min=2, max=6)

    def save(network, path):
        program = torch.export.export(network, (torch.rand(2, 4),), dynamic_shapes={"input": {0: BATCH, 1: length}})
        torch.export.save(program, path)
        return "exported_program"

    stated = {"inputs": {"input": {"shape": ["batch", "length"]}}, "axes": {"length": {"min": 2, "opt": 4, "max": 9}}}
    samples = [{"input": values} for values in VALUES]
    with pytest.raises(SlipwayError, match=r"`axes.length`.*axis 1 of input takes 2 to 6, not 9"):
        served(save, nn.Softmax(-1), samples, **stated)


def test_a_program_with_a_largest_batch_is_exported_with_it(served, tmp_path):
    network, contract = served(lambda *saved: as_exported(*saved, batch=torch.export.Dim("b", max=16)), nn.Tanh())
    assert network.network.largest_batch == 16
    exported(network, contract, SAMPLES, 20, tmp_path / "program.onnx")


@pytest.mark.parametrize("save", [as_exported, as_traced])
def test_a_program_saved_in_train_mode_is_refused_with_its_modules(served, save):
    with pytest.raises(SlipwayError) as caught:
        served(save, Regularised().train())
    message = str(caught.value)
    assert message.startswith("the program was saved in train mode: aten")
    names = ["norm", "dropout"] if save is as_exported else ["the network"] * 2  # an archive has lost them
    assert all(f"{kind} in {name}" in message for kind, name in zip(["batch_norm", "dropout"], names, strict=True))
    assert "call model.eval() before torch." in message


def test_a_scripted_network_leaves_train_mode_by_itself(served):
    network, _ = served(as_scripted, Regularised().train())
    assert not network.network.training


def test_a_branch_on_the_values_of_one_sample_is_found_in_scripts(served):
    from slipway.networks.batch_independence import require_batch_independence

    network, contract = served(as_scripted, OnValues())
    with pytest.raises(SlipwayError, match="cannot be served in batches"):
        require_batch_independence(network, contract, SAMPLES)


def test_an_operator_that_the_older_exporter_lacks_is_told_with_the_way_out(served, tmp_path):
    class Attending(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.i0e(x)

    network, contract = served(as_traced, Attending())
    with pytest.raises(SlipwayError) as caught:
        exported(network, contract, SAMPLES, 20, tmp_path / "program.onnx")
    assert "which only PyTorch's older exporter takes" in str(caught.value)
    assert "save the network that it was made from as an exported program" in str(caught.value)
    assert "special_i0e" in why_not_exported(RuntimeError(str(caught.value)), network, 20)


def test_an_exported_program_moves_to_another_device_with_all_that_it_makes(served):
    class Making(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            places = torch.arange(x.shape[1], dtype=torch.float32, device=x.device)
            return (x * places + torch.tensor([1.0, 2.0, 3.0, 4.0], device=x.device)).to(torch.float64).float()

    network, _ = served(as_exported, Making())
    moved = network.network.to("meta")
    assert moved(TWO.to("meta")).device.type == "meta"
