import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import batch_networks, unexportable
from helpers.models.served_pictures import served

from export_onnx import compare_with_pytorch, exported
from slipway.contract.contract import BATCH, Axis, Contract, Tensor
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.networks.batch_independence import require_batch_independence

SIDE = 16
NEW, OLD = 20, 17  # opsets of the two exporters


def refusal(name, opset, folder):
    """Return what an export ends in, of a network that answers each picture by itself in PyTorch."""
    torch.manual_seed(0)
    network = getattr(unexportable, name)()
    require_batch_independence(*served(network, SIDE))
    with pytest.raises(SlipwayError) as caught:
        export_and_compare(*served(network, SIDE), opset, folder / "network.onnx")
    return str(caught.value)


def export_and_compare(network, contract, samples, opset, path):
    frozen = exported(network, contract, samples, opset, path)
    return compare_with_pytorch(network, contract, samples, path, frozen)


def source_line(name, text):
    """Return "unexportable.py:<number>" of the line with a text in a network's class."""
    lines = Path(unexportable.__file__).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"class {name}("))
    return f"unexportable.py:{next(n for n in range(start, len(lines)) if text in lines[n]) + 1}: "


def require_told(name, opset, line, cause, folder):
    """Require that the refusal of a network is one plain sentence with the cause and its line."""
    said = refusal(name, opset, folder)
    assert re.search(cause, said), said
    assert source_line(name, line) in said, said
    require_one_plain_sentence(said)


@pytest.mark.parametrize(
    ("name", "line", "cause"),
    [
        ("Decides", "if features", "decides by the values of a tensor"),
        ("TakesANumber", "steps = ", "takes a Python number out of a tensor|decides by the values"),
        ("LoopsOverBatch", "torch.stack", "fixes the batch size"),
        ("ComparesBatch", "shape[0] == 2", "fixes the batch size"),
        ("Bessel", "bessel_j0", "operator aten.special_bessel_j0"),
        ("Complex", "sinh", "computes with complex numbers"),
        ("OwnOperator", "twist(self", "unexportable.twist at .*, an operator of its own"),
        ("ReadsSizeAsText", "int(str(", "the batch size is a symbol"),
    ],
)
def test_what_cannot_be_exported_is_told_with_its_line(name, line, cause, tmp_path):
    require_told(name, NEW, line, cause, tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "cause"),
    [
        ("DecidesByPicture", "image.mean() > 0", "replaced these lines of Python by their result for one batch"),
        ("LeavesForNumpy", "detach().numpy()", "replaced these lines of Python by their result for one batch"),
        ("LoopsOverBatch", "torch.stack", "replaced these lines of Python by their result for one batch"),
        ("SingularValues", "svdvals", "operator aten.linalg_svdvals"),
        ("Bessel", "bessel_j0", "operator aten.special_bessel_j0"),
        ("Complex", "view_as_complex", "computes with complex numbers"),
        ("OwnOperator", "twist(self", "unexportable.twist at .*, an operator of its own"),
        (
            "UnevenPool",
            "adaptive_avg_pool2d",
            r"operator aten.adaptive_avg_pool2d .* \(output size that are not factor",
        ),
        ("ReadsSizeAsText", "int(str(", "though it runs in PyTorch"),
    ],
)
def test_what_the_older_exporter_cannot_carry_is_told_with_its_line(name, line, cause, tmp_path):
    require_told(name, OLD, line, cause, tmp_path)


def test_attention_that_the_older_exporter_fixes_at_one_length_is_told_with_its_module_and_the_ways_out(tmp_path):
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    inputs, outputs = (Tensor(name, "float32", (BATCH, "sequence", 8)) for name in ("x", "y"))
    contract = Contract((inputs,), (outputs,), axes={"sequence": Axis(2, 4, 9)})
    samples = [{"x": np.random.default_rng(0).standard_normal((1, length, 8), np.float32)} for length in (3, 5)]
    with pytest.raises(SlipwayError) as caught:
        export_and_compare(ServedNetwork(layer.eval(), contract), contract, samples, OLD, tmp_path / "network.onnx")
    said = str(caught.value)
    require_one_plain_sentence(said)
    assert "answers differently from PyTorch at sequence " in said
    assert "fixes the batch size and lengths inside nn.MultiheadAttention (`self_attn`)" in said
    assert "compute it with torch.nn.functional.scaled_dot_product_attention, or build for TensorRT 10 or newer" in said


@pytest.mark.parametrize(
    ("decides", "size"),
    [(lambda length: 20 < length < 30, 21), (lambda length: length % 8 != 0, 15), (lambda length: length == 50, 50)],
    ids=["in_the_middle", "by_a_remainder", "at_one_size"],
)
def test_a_branch_for_sizes_that_neither_samples_nor_ends_have_is_found_and_told(decides, size, tmp_path):
    torch.manual_seed(0)
    with pytest.raises(SlipwayError) as caught:
        export_and_compare(
            *of_any_length(lambda x: x * 3 if decides(x.shape[1]) else x), NEW, tmp_path / "network.onnx"
        )
    said = str(caught.value)
    require_one_plain_sentence(said)
    assert f"answers differently from PyTorch at length {size} " in said
    assert "its code decides by the size of length" in said


def test_a_branch_that_answers_alike_is_exported_and_compared_there(tmp_path):
    network = of_any_length(lambda x: x + x if x.shape[1] > 20 else x * 2)
    assert "length 21" in export_and_compare(*network, NEW, tmp_path / "network.onnx")


class OfAnyLength(torch.nn.Module):
    """A layer and a function of its answer (N, length, 4)."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = torch.nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.layer(x))


def of_any_length(function):
    """Return OfAnyLength with its contract, lengths 8 to 64, and samples of lengths that 8 divides."""
    inputs, outputs = (Tensor(name, "float32", (BATCH, "length", 4)) for name in ("x", "y"))
    contract = Contract((inputs,), (outputs,), axes={"length": Axis(8, 16, 64)})
    samples = [{"x": np.random.default_rng(0).standard_normal((1, length, 4), np.float32)} for length in (8, 16, 40)]
    return ServedNetwork(OfAnyLength(function).eval(), contract), contract, samples


def test_a_network_in_16_bits_is_told_with_its_type(tmp_path):
    """Its rounding differs from ONNX Runtime's by more than is allowed of a network in 32 bits."""
    torch.manual_seed(0)
    half = of_any_length(lambda x: (x * 100).sin())
    half[0].network.half()
    half_samples = [{"x": sample["x"].astype(np.float16)} for sample in half[2]]
    contract = replace(half[1], inputs=(replace(half[1].inputs[0], dtype="float16"),))
    with pytest.raises(SlipwayError, match=r"its weights are float16, .*in float32 \(no .half\(\)\)"):
        export_and_compare(ServedNetwork(half[0].network, contract), contract, half_samples, NEW, tmp_path / "n.onnx")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("ComputesInDouble", "autocast): its weights are float64"),
        ("Autocasts", "let it compute in float32 (no .double()"),
    ],
)
def test_a_file_in_types_that_cannot_be_run_is_told_with_them(name, cause, tmp_path):
    assert cause in refusal(name, OLD, tmp_path)


def require_one_plain_sentence(said):
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) < 600


@pytest.mark.parametrize("opset", [NEW, OLD])
def test_a_network_with_a_scripted_part_is_exported(opset, tmp_path):
    torch.manual_seed(0)
    network = unexportable.Scripted().eval()
    assert "batch 5" in export_and_compare(*served(network, SIDE), opset, tmp_path / "network.onnx")


@pytest.mark.parametrize("opset", [NEW, OLD])
def test_a_network_that_can_be_exported_is_compared_on_pictures_unlike_each_other(opset, tmp_path):
    network = batch_networks.Independent().eval()
    assert list(export_and_compare(*served(network, SIDE), opset, tmp_path / "network.onnx")) == [
        "batch 1",
        "batch 2",
        "batch 5",
        "samples",
        "other values",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("opset", [NEW, OLD])
def test_a_full_disk_is_no_fault_of_the_network(opset):
    with pytest.raises(OSError, match="No space left on device"):
        exported(*served(torch.nn.Flatten(), SIDE), opset, Path("/dev/full"))
