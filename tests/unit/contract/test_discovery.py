"""The contract is found from the network and samples; facts that are not known are asked for."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchvision
from helpers.models.text_network import TEXT_STATED, TEXTS, Text, text
from torch import nn

from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork, answers_of
from slipway.core.errors import SlipwayError

RANDOM = np.random.default_rng(0)
PICTURE = [{"input": RANDOM.standard_normal((1, 3, 64, 64), np.float32)}]


def functional(function):
    """Return a module that computes a function of its own signature."""

    class Functional(nn.Module):
        forward = staticmethod(function)

    return Functional()


def shapes(contract, side="outputs"):
    return {tensor.name: (tensor.dtype, tensor.shape) for tensor in getattr(contract, side)}


def refusal(model, samples, **stated):
    with pytest.raises(SlipwayError) as error:
        find_contract(model, samples, stated)
    return str(error.value)


def meaning(contract, output):
    return {tensor.name: tensor.meaning for tensor in contract.outputs}[output]


def test_a_network_of_torchvision_has_one_input_of_any_name():
    model = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    contract = find_contract(model, PICTURE, {})
    assert shapes(contract, "inputs") == {"input": ("float32", ("batch", 3, 64, 64))}
    assert shapes(contract) == {"out": ("float32", ("batch", 21, 64, 64))}
    assert meaning(contract, "out").kind == "tensor"


def test_a_text_network_has_two_inputs_and_outputs_that_follow_the_sequence():
    contract = find_contract(Text().eval(), TEXTS, TEXT_STATED)
    assert shapes(contract, "inputs") == dict.fromkeys(TEXTS[0], ("int64", ("batch", "sequence")))
    assert shapes(contract) == {
        "logits": ("float32", ("batch", 3)),
        "hidden": ("float32", ("batch", "sequence", 8)),
    }
    network = ServedNetwork(Text().eval(), contract)
    answers = answers_of(network, contract, text(9, rows=2))
    assert {name: array.shape for name, array in answers.items()} == {"logits": (2, 3), "hidden": (2, 9, 8)}


def test_a_named_output_is_chosen_and_has_its_meaning():
    contract = find_contract(Text().eval(), TEXTS, {**TEXT_STATED, "outputs": {"logits": "logits"}})
    assert list(shapes(contract)) == ["logits"]
    assert meaning(contract, "logits").activation == "softmax"


def test_the_meaning_of_one_output_of_several_is_proven():
    model = functional(lambda x: {"first": x.softmax(1), "second": x * 2})
    samples = [{"x": RANDOM.standard_normal((1, 5), np.float32)} for _ in range(3)]
    contract = find_contract(model, samples, {"outputs": {"second": "tensor", "first": "probabilities"}})
    assert meaning(contract, "first").reason.endswith("the network ends in a softmax")
    assert "say `outputs.first: probabilities`" in refusal(model, samples, outputs={"first": "sigmoid"})
    assert "`outputs.second: tensor` for numbers" in refusal(model, samples, outputs={"second": "probabilities"})
    lone = functional(lambda x: x[:, :1].softmax(1))
    assert "say `outputs.score: sigmoid` in config.yaml" in refusal(lone, samples, outputs={"score": "sigmoid"})


@dataclass
class Fields:
    scores: torch.Tensor
    boxes: torch.Tensor
    loss: torch.Tensor | None = None


Named = namedtuple("Named", "scores boxes")


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (lambda a, b: Fields(a, b), ["scores", "boxes"]),
        (lambda a, b: Named(a, b), ["scores", "boxes"]),
        (lambda a, b: {"scores": a, "boxes": b, "loss": None}, ["scores", "boxes"]),
        (lambda a, b: (a, None, b), ["output_0", "output_1"]),
        (lambda a, b: [a, b], ["output_0", "output_1"]),
        (lambda a, b: a + b, ["output"]),
    ],
    ids=["dataclass", "named tuple", "dictionary", "tuple", "list", "tensor"],
)
def test_outputs_have_the_names_that_the_network_gives_them(answer, names):
    model = functional(lambda image, table: answer(image.mean((1, 2, 3))[:, None] + table, table * 2))
    samples = [{"table": np.ones((1, 4), np.float32), "image": np.ones((1, 3, 8, 6), np.float32)}]
    contract = find_contract(model, samples, {})
    assert list(shapes(contract, "inputs")) == ["image", "table"]
    assert list(shapes(contract)) == names
    renamed = find_contract(model, samples, {"outputs": {f"new_{name}": "tensor" for name in names}})
    assert list(shapes(renamed)) == [f"new_{name}" for name in names]


def test_a_network_without_a_batch_axis_has_sizes_that_follow_from_values():
    model = functional(lambda image: {"boxes": (image.sum(0) > 2).nonzero(), "count": image.sum()[None]})
    samples = [{"image": RANDOM.uniform(0, 1.5, (3, 6, 8)).astype(np.float32)} for _ in range(3)]
    contract = find_contract(model, samples, {"inputs": {"image": {"shape": [3, 6, 8]}}})
    assert not contract.batched
    assert shapes(contract) == {"boxes": ("int64", (None, 2)), "count": ("float32", (1,))}


def test_sizes_computed_from_a_dynamic_axis_are_open():
    model = functional(lambda audio: {"half": audio[:, ::2], "whole": audio + 1, "mean": audio.mean(1)})
    stated = {"inputs": {"audio": {"shape": ["batch", "time"]}}, "axes": {"time": {"min": 4, "opt": 8, "max": 30}}}
    contract = find_contract(model, [{"audio": np.ones((1, 12), np.float32)}], stated)
    assert {name: shape for name, (_, shape) in shapes(contract).items()} == {
        "half": ("batch", None),
        "whole": ("batch", "time"),
        "mean": ("batch",),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_other_widths_are_served_in_float32_and_whole_numbers_as_they_are(dtype):
    model = functional(lambda x: (x.to(dtype), x.argmax(1), x > 0))
    contract = find_contract(model, [{"x": np.float32([[1, 2]])}], {})
    assert [kind for kind, _ in shapes(contract).values()] == ["float32", "int64", "bool"]
    answers = answers_of(ServedNetwork(model, contract), contract, {"x": np.float32([[1, 2], [4, 3]])})
    assert [str(array.dtype) for array in answers.values()] == ["float32", "int64", "bool"]


def test_a_parameter_that_is_returned_as_it_is_is_an_output():
    class Anchors(nn.Module):
        def __init__(self):
            super().__init__()
            self.anchors = nn.Parameter(torch.ones(1, 3))

        def forward(self, x):
            return {"y": x * 2, "anchors": self.anchors.expand(len(x), -1)}

    assert shapes(find_contract(Anchors(), X, {}))["anchors"] == ("float32", ("batch", 3))


def test_float64_answers_that_float32_cannot_tell_apart_are_refused():
    samples = [{"x": np.float32([[number, 2]])} for number in range(5)]
    said = refusal(functional(lambda x: x.double() + 1.7e9), samples)
    assert "the output output of the network is float64, and its answers to the samples differ by less than" in said
    assert find_contract(functional(lambda x: x.double() + 1e3), samples, {}).outputs[0].dtype == "float32"
    assert find_contract(functional(lambda x: x.long() + 1_700_000_000), samples, {}).outputs[0].dtype == "int64"


def test_single_numbers_without_axes_are_refused_before_anything_is_built():
    stated = {"inputs": {"x": {"shape": [1, 2]}}}
    said = refusal(functional(lambda x: {"y": x * 2, "sum": x.sum()}), X, **stated)
    assert "the output sum of the network has no axis, and Triton serves no such tensors" in said
    assert "leave it out by `outputs`" in said
    sample = {"x": np.float32([[1, 2]]), "factor": np.asarray(3, np.float32)}
    assert "the input factor of the network has no axis" in refusal(functional(lambda x, factor: x), [sample], **stated)


def test_pixels_are_normalised_by_the_served_network():
    stated = {"inputs": {"x": {"normalisation": {"mean": [0.5, 0, 0], "std": [0.5, 1, 2]}}}}
    model = functional(lambda x: x[:, :, 0, 0])
    contract = find_contract(model, [{"x": np.full((1, 3, 2, 2), 255, np.uint8)}], stated)
    answers = answers_of(ServedNetwork(model, contract), contract, {"x": np.full((2, 3, 2, 2), 255, np.uint8)})
    assert answers["output"].tolist() == [[1, 1, 0.5], [1, 1, 0.5]]


def test_axes_that_differ_between_samples_are_asked_for_with_the_lines():
    said = refusal(Text().eval(), TEXTS)
    assert "axis 1 of the input input_ids has the sizes 5, 7, 12 in the samples" in said
    assert (
        "`inputs: {input_ids: {shape: [batch, length]}, attention_mask: {shape: [batch, length]}}` and "
        "`axes: {length: {min: 5, opt: 7, max: 12}}` (sizes of the samples; let them hold for all requests)"
    ) in said


def test_several_rows_are_asked_for():
    said = refusal(functional(lambda x: x * 2), [{"x": np.ones((4, 5), np.float32)}])
    assert "axis 0 of the input x has the size 4 in every sample" in said
    assert "`inputs: {x: {shape: [batch, 5]}}`" in said
    assert "for a model without a batch axis" in said


X = [{"x": np.float32([[1, 2]])}]
XY = [{"x": np.float32([[1, 2]]), "y": np.float32([[1, 2]])}]


@pytest.mark.parametrize(
    ("model", "samples", "stated", "said"),
    [
        (lambda x, z=0: x, XY, {}, "the samples have y, which the network does not take: its forward takes x, z"),
        (lambda x, y: x + y, X, {}, "the network needs y, which the samples do not have (they have x)"),
        (lambda batch: batch, XY, {}, "a single input, batch; if that is a dictionary or a tuple"),
        (lambda x, y: x, XY, {}, "the outputs of the network do not depend on y"),
        (lambda x, y: x + y.shape[1], XY, {}, "the outputs of the network do not depend on y"),
        (lambda x: {"x": x}, X, {}, "the network has x both as an input and as an output"),
        (lambda x: x.sum(), X, {}, "answers a batch of 1 with an output output of shape ()"),
        (lambda x: x.mean(0, keepdim=True), X, {}, "answers a batch of 3 with an output output of shape (1, 2)"),
        (lambda x: x.squeeze(), X, {}, "answers a batch of 1 with an output output of shape (2,)"),
        (lambda x: x.view(1, 2), X, {}, "takes the samples, but not in a batch of 3"),
        (lambda x: [x] * len(x), X, {}, "outputs output, but with output_0, output_1, output_2"),
        (lambda x: [{"boxes": x, "scores": x}], X, {}, "a list of 1 (dict) with boxes, scores: one for each sample"),
        (lambda x: {"y": x, "past": (x, x)}, X, {}, "output past of the network is a tuple of 2 (Tensor)"),
        (lambda x: {"y": x, "past": (x, x)}, X, {}, "leave it out by `outputs: {y: tensor}`"),
        (lambda x: (x, "text"), X, {}, "output output_1 of the network is a str, not one tensor"),
        (lambda x: None, X, {}, "the network answers with a NoneType, which has no tensor"),
        (lambda x: {"y": None}, X, {}, "the network answers with a dict with y, which has no tensor"),
        (lambda x: torch.complex(x, x), X, {}, "has complex numbers (complex64)"),
        (lambda x: x.to_sparse(), X, {}, "is a sparse, nested or quantised tensor"),
        (lambda x: torch.nested.as_nested_tensor(list(x)), X, {}, "is a sparse, nested or quantised tensor"),
        (
            lambda x: {"boxes": x, "scores": x + 1},
            X,
            {"outputs": {"score": "tensor", "box": "tensor"}},
            "score would be its boxes, but looks like its scores",
        ),
        (
            lambda x: {"start": x, "end": x + 1},
            X,
            {"outputs": {"end_logits": "tensor", "start_logits": "tensor"}},
            "end_logits would be its start, but looks like its end",
        ),
        (lambda x: {1: x, "1": x + 1}, X, {}, "a dict with 1, 1: two of these keys are one name as text"),
        (lambda x: x.to(torch.float8_e4m3fn), X, {}, "output output of the network is float8_e4m3fn, which no server"),
        (lambda x: x.double() * 1e300, X, {}, "has numbers up to 2.0e+300, which float32 cannot hold"),
        (lambda x: x[:, :, None][:, :, x[0] > 9], X, {}, "output output of the network is empty for every sample"),
        (lambda x: x / 0, X, {}, "the output output of the network has NaN or infinities"),
        (lambda x: x.argmax(1) if len(x) > 1 else x.sum(1), X, {}, "is float32 or int64, depending on the input"),
        (lambda x: (x, x), X, {"outputs": {"y": "tensor"}}, "answers with 2 outputs (output_0, output_1)"),
        (lambda x: x @ torch.ones(3, 2), X, {}, "the network fails on an input of shape (1, 2)"),
        (lambda x: nn.functional.embedding(x, torch.ones(9, 2)), X, {}, "though it takes x in int64"),
        (nn.Linear(2, 2), [{"x": np.float64([[1, 2]])}], {}, "though it takes float32 in place of float64"),
        (lambda x: x, X, {"inputs": {"z": {}}}, "`inputs` in config.yaml has z, but the samples have x"),
        (
            lambda x: x,
            X,
            {"inputs": {"x": {"dtype": "int64"}}},
            "is float32 in the samples, but config.yaml says int64",
        ),
        (lambda x: x, X, {"inputs": {"x": {"shape": ["batch", 3]}}}, "config.yaml says [batch, 3]"),
        (
            lambda x: x[:, :4],
            X,
            {"inputs": {"x": {"shape": ["batch", "n"]}}, "axes": {"n": {"min": 4, "opt": 5, "max": 6}}},
            "the axis n of the inputs has the size 2, but the model takes 4 to 6",
        ),
        (
            lambda x: x + torch.ones(4)[: x.shape[1]],
            X,
            {"inputs": {"x": {"shape": ["batch", "n"]}}, "axes": {"n": {"min": 2, "opt": 3, "max": 6}}},
            "takes the samples, but not with the axis n at 6 (`axes.n`)",
        ),
        (lambda x: x[:, :, None], X, {"outputs": {"y": "logits"}}, "y float32 (batch, 2, 1) is not of floating-point"),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_network_that_cannot_be_served_as_it_is_is_told_why(model, samples, stated, said):
    assert said in refusal(model if isinstance(model, nn.Module) else functional(model), samples, **stated)


def test_an_output_whose_size_follows_from_values_is_told_later():
    model = functional(lambda x: x[:, : 1 + int(x[0, 0] > 5)])
    contract = find_contract(model, X, {})
    with pytest.raises(SlipwayError, match=r"has the shape .* its sizes follow from the values of the inputs"):
        answers_of(ServedNetwork(model, contract), contract, {"x": np.float32([[9, 2]])})
