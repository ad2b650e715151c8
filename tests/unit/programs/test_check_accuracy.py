import numpy as np
import onnx
import pytest
from helpers.models.tiny_engine import tiny_engine

from check_accuracy import (
    below_floor,
    following,
    main,
    not_following,
    parse_arguments,
    show,
)
from slipway.benchmark.company import IN_32_BITS, IN_FEWER_BITS
from slipway.benchmark.strangers import strangers
from slipway.classification.picture_contract import picture_contract
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.golden import Golden, Sample
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_files import require_own_answers
from slipway.outputs.meaning import STATED, Meaning

SAMPLE = {"min_cosine": 0.99999, "relative_error": 1e-3}
TOP1 = {"pytorch": {"top1": 0.852}, "engine": {"top1": 0.856}}


@pytest.mark.parametrize(
    ("photographs", "words"),
    [
        (None, "no labelled photographs are configured (accuracy.labelled)"),
        ({"images": 50, "labelled": 0}, "none of the 50 photographs has a known class"),
        ({"images": 50, "labelled": 40, "top1_agreement": 0.972, **TOP1}, "40 labelled photographs: top-1 85.6%"),
    ],
)
def test_what_is_proven_is_said(photographs, words, capsys):
    show({"sample": SAMPLE, "photographs": photographs})
    assert words in capsys.readouterr().err


def checked(folder, **made):
    """Compare a tiny engine with its own answers, as with PyTorch's; return the record."""
    tiny = tiny_engine(folder, origin="checkpoint", **made)
    others = strangers(picture_contract(tiny.batch.dtype), [{"input": tiny.batch}])
    varied, engine = np.concatenate([other["input"] for other in others]), tiny.engine.load()
    logits, *varied_logits = [engine.infer({"input": image[None]})["logits"] for image in [tiny.batch[0], *varied]]
    answers = {"logits": logits, "variation_logits": np.concatenate(varied_logits)}
    np.savez(folder / "golden.npz", input=tiny.batch, variations=varied, **answers)
    files = f"--weights none --weights-record {tiny.weights_record} --labels {tiny.labels} --golden {folder}/golden.npz"
    limits = "--min-cosine 0.9 --max-relative-error 0.3 --min-top1-agreement 0.9 --max-top1-drop 0.1"
    shape = "--resize 16 --crop 16 --mean 0 0 0 --std 1 1 1 --input float32"
    options = f"{files} --engine-record {tiny.engine_record} {limits} {shape} --output {folder}/accuracy.json"
    main(parse_arguments(options.split()))
    return read_json(folder / "accuracy.json")


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_engine_that_answers_by_its_neighbours_is_refused_even_within_the_limits_of_int8(runtime, tmp_path):
    with pytest.raises(SlipwayError, match="not accurate enough: the answer to a sample depends on its neighbours"):
        checked(tmp_path, name=runtime, mixing=True)
    assert not (tmp_path / "accuracy.json").exists()


def test_the_record_has_how_far_answers_are_apart_in_other_company(tmp_path):
    company = checked(tmp_path)["company"]
    assert company["batches"] == [2, 4]
    assert company["by_company"] <= company["by_size"] < 1e-5


@pytest.mark.parametrize("tolerance", [IN_32_BITS, IN_FEWER_BITS])
def test_an_onnx_file_that_answers_by_its_neighbours_is_refused(tolerance, tmp_path):
    tiny = tiny_engine(tmp_path, mixing=True)
    with pytest.raises(SlipwayError, match="the ONNX file cannot be served in batches"):
        require_own_answers(onnx.load(tmp_path / "tiny.onnx"), tiny.batch, tolerance)


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (None, []),
        (0.85, []),
        (0.853, ["the top-1 accuracy of PyTorch itself is 0.8520, below `accuracy.min_top1`, 0.853"]),
        (0.9, ["PyTorch itself is 0.8520", "the engine is 0.8560"]),
    ],
)
def test_the_floor_is_of_pytorch_and_of_the_engine(floor, said):
    problems = below_floor({"images": 50, "labelled": 40, **TOP1}, floor)
    assert len(problems) == len(said)
    assert all(words in problem for words, problem in zip(said, problems, strict=True))


def test_a_floor_is_not_held_by_photographs_of_no_class():
    assert below_floor({"images": 50, "labelled": 0}, None) == []
    (problem,) = below_floor({"images": 50, "labelled": 0}, 0.1)
    assert "none of the 50 photographs has a known class" in problem


class Engine:
    """Answers each picture (1, 1) with what `answer` makes of it."""

    def __init__(self, answer):
        self.infer = lambda inputs: {"logits": answer(inputs["input"])}


PICTURES = np.linspace(0, 1, 9)[:, None].astype(np.float32)
FLAT = np.hstack([100 + 0.001 * PICTURES, 50 - 0.002 * PICTURES])  # varies by less than any limit
GOLDEN = Golden(
    Contract((Tensor("input", "float32", (BATCH, 1)),), (Tensor("logits", "float32", (BATCH, 2)),)),
    tuple(Sample({"input": picture[None]}, {"logits": row[None]}) for picture, row in zip(PICTURES, FLAT, strict=True)),
)
LIMITS = {"max_relative_error": 0.001}


@pytest.mark.parametrize("origin", ["checkpoint", "rehearsal"])
def test_one_answer_to_everything_is_no_proof_though_it_holds_every_limit(origin):
    constant = following(GOLDEN, Engine(lambda _: FLAT[4:5]), LIMITS)
    assert "a model with one answer for everything would pass" in constant["weakness"]
    assert constant["error"] == pytest.approx(1)
    refused = not_following({"variation": constant, "origin": origin})
    assert bool(refused) == (origin == "checkpoint")


def test_an_engine_that_follows_small_differences_is_proven_by_them():
    followed = following(GOLDEN, Engine(lambda picture: FLAT[[round(8 * picture.item())]]), LIMITS)
    assert followed["error"] == 0
    assert not_following({"variation": followed, "origin": "checkpoint"}) == []


@pytest.mark.parametrize("stated", [True, False])
def test_labelled_photographs_of_a_tensor_are_refused_unless_it_is_meant(stated):
    meaning = Meaning("tensor", because=STATED if stated else "the meaning of its 3 outputs is not known")
    if stated:
        meaning.require_labels_of_use("photographs")
    else:
        with pytest.raises(
            SlipwayError, match=r"names photographs by class .photographs., but the meaning of its 3 outputs"
        ):
            meaning.require_labels_of_use("photographs")


def test_a_tensor_is_told_to_be_held_by_its_error_alone(capsys):
    show({"sample": {"relative_error": 1e-3}, "photographs": {"images": 3, "labelled": 0}})
    assert "no class scores, so of the limits only max_relative_error is held" in capsys.readouterr().err


def test_photographs_of_a_yes_and_a_no_need_both_names():
    Meaning("sigmoid").require_name_for_each(["fine", "defect"])
    with pytest.raises(SlipwayError, match="the name of the no and the name of the yes"):
        Meaning("sigmoid").require_name_for_each(["defect"])
