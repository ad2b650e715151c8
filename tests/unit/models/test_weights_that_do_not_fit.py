"""Weights of another architecture, of other shapes or of other kinds of numbers are refused."""

import warnings

import pytest
import torch
from helpers.models.checkpoints import ARCHITECTURE, assert_loaded, below, refusal

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of
from slipway.models.choosing import load_checkpoint


def test_another_architecture_is_told_with_what_differs(raw):
    message = refusal(build("shufflenet_v2_x0_5", {"num_classes": 3}), raw)
    assert "another architecture" in message
    assert "conv1.0.weight" in message
    assert "classifier.1.bias" in message
    assert "read as `state_dict`" in refusal(build("shufflenet_v2_x0_5", {"num_classes": 3}), {"state_dict": raw})


def test_another_number_of_classes_is_told_with_both_shapes(raw):
    message = refusal(build(ARCHITECTURE, {"num_classes": 4}), raw)
    assert "classifier.1.bias is (3,), not (4,)" in message


def test_nothing_is_loaded_of_what_does_not_fit(raw):
    model = build(ARCHITECTURE, {"num_classes": 4})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refusal(model, raw)
    assert_loaded(model, before)


def test_a_missing_name_is_told(network, raw):
    short = {name: tensor for name, tensor in raw.items() if name != "classifier.1.bias"}
    message = refusal(network, short)
    assert "1 (classifier.1.bias) missing, none unknown, none of another shape" in message


def test_the_nearest_reading_is_named(network, raw):
    short = {name: tensor for name, tensor in raw.items() if name != "classifier.1.bias"}
    message = refusal(network, {"net": below("inner.", short), "acc": 3})
    assert "read as `net.inner`, which is nearest: 1 (classifier.1.bias) missing" in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_cast_and_it_is_said(network, raw, dtype):
    choice = load_checkpoint(network, content_of({name: raw[name].to(dtype) for name in raw}), "weights.pth")
    assert choice.cast == f"52 tensors from {str(dtype).removeprefix('torch.')} to float32"
    assert_loaded(network, {name: raw[name].to(dtype).float() for name in raw})


@pytest.mark.parametrize(
    "dtype",
    [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn],
    ids=str,
)
@pytest.mark.parametrize("names", [["classifier.1.bias"], None], ids=["one", "all"])
def test_numbers_of_another_kind_are_refused(network, raw, dtype, names):
    saved = raw | {name: raw[name].to(dtype) for name in names or raw}
    message = refusal(network, saved)
    assert f"is {str(dtype).removeprefix('torch.')}, not float32" in message
    assert "another kind" in message


@pytest.mark.filterwarnings("ignore")
def test_quantized_tensors_are_refused(network, raw):
    quantized = torch.quantize_per_tensor(raw["classifier.1.bias"], 0.1, 0, torch.qint8)
    assert "qint8, not float32" in refusal(network, raw | {"classifier.1.bias": quantized})


@pytest.mark.parametrize(
    ("change", "words"),
    [(torch.Tensor.to_sparse, "classifier.1.bias is sparse"), (lambda bias: bias.to("meta"), "has no values (device")],
    ids=["sparse", "meta"],
)
def test_sparse_tensors_and_tensors_without_values_are_refused(network, raw, change, words):
    message = refusal(network, raw | {"classifier.1.bias": change(raw["classifier.1.bias"])})
    assert words in message
    assert "another architecture" not in message


def _quantised():
    with warnings.catch_warnings(action="ignore"):
        return torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 3)), dtype=torch.qint8)


def test_the_weights_of_a_quantised_network_are_told():
    message = refusal(torch.nn.Sequential(torch.nn.Linear(4, 3)), _quantised().state_dict())
    assert "is of a quantised network (" in message
    assert "another architecture" not in message


def test_a_quantised_network_is_told(raw):
    with pytest.raises(SlipwayError, match=r"the network has quantised modules \(0\._packed_params"):
        load_checkpoint(_quantised(), content_of(raw), "weights.pth")


def test_one_part_of_several_is_told(network, raw):
    part = dict(list(raw.items())[:30])
    with pytest.raises(
        SlipwayError, match=r"is one part of several, by its name, and 22 \(.*save all parts in one file"
    ):
        load_checkpoint(network, content_of(part), "model-00001-of-00002.safetensors")


def test_numbers_that_become_infinite_are_refused(network, raw):
    large = torch.full_like(raw["classifier.1.bias"], 1.0).double() * 1e300
    assert "which its largest numbers exceed" in refusal(network, raw | {"classifier.1.bias": large})
