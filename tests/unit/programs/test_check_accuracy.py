from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from helpers.models.tiny_engine import CLASSES, CROP, tiny_engine
from PIL import Image

from check_accuracy import following, main, parse_arguments, require_interface, variation_problems
from slipway.benchmark.batch_independence import IN_32_BITS, IN_FEWER_BITS
from slipway.benchmark.batch_neighbours import batch_neighbours
from slipway.benchmark.evaluation import Evaluation, evaluated
from slipway.classification.accuracy_shown import show_engine
from slipway.classification.checkpoint_on_labels import labelling_of
from slipway.classification.engine_on_labels import below_floor
from slipway.classification.photograph_inputs import PhotographInputs
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_files import require_batch_independence, session_of
from slipway.outputs.meaning import LOGITS, STATED, Meaning

PREPROCESS = {"resize": CROP, "crop": CROP, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"}
CONTRACT = Contract(
    (Tensor("input", "float32", (BATCH, 3, CROP, CROP)),),
    (Tensor("logits", "float32", (BATCH, CLASSES), meaning=LOGITS),),
    facts={"preprocess": PREPROCESS},
)
SAMPLE = {"min_cosine": 0.99999, "relative_error": 1e-3}
NO_METRIC = {"metric": None, "variation": {"weakness": None}, "hidden_parts": []}
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
    show_engine({"sample": SAMPLE, "evaluation": photographs, **NO_METRIC})
    assert words in capsys.readouterr().err


def checked(folder, *options, **made):
    """Compare a tiny engine with its own answers, as with PyTorch's; return the record."""
    tiny = tiny_engine(folder, origin="checkpoint", **made)
    answer = tiny.engine.answering(tiny.engine.load())
    inputs = [{"input": tiny.batch}, *batch_neighbours(CONTRACT, [{"input": tiny.batch}])]
    ReferenceOutputs(CONTRACT, tuple(Sample(sample, answer(sample)) for sample in inputs)).write(
        folder / "reference_outputs.npz"
    )
    written = f"--reference {folder}/reference_outputs.npz --output {folder}/accuracy.json"
    files = f"{written} --engine-record {tiny.engine_record} --labels {tiny.labels}"
    limits = "--min-cosine 0.9 --max-relative-error 0.3 --min-top1-agreement 0.9 --max-top1-drop 0.1"
    main(parse_arguments([*files.split(), *limits.split(), *map(str, options)]))
    return read_json(folder / "accuracy.json")


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_engine_that_answers_by_its_neighbours_is_refused_even_within_the_limits_of_int8(runtime, tmp_path):
    with pytest.raises(SlipwayError, match="not accurate enough: the answer to a sample depends on its neighbours"):
        checked(tmp_path, name=runtime, mixing=True)
    assert not (tmp_path / "accuracy.json").exists()


@pytest.fixture
def photographs(tmp_path):
    """Six photographs, all different."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (CROP, CROP, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def write_evaluation(folder, photographs, factor=1.0, classes=(0, 1, 2, 0, 1, -1), metric=None):
    """Write answers of PyTorch that are those of the engine times a factor."""
    tiny = tiny_engine(folder, origin="checkpoint")
    found = evaluated(tiny.engine.load().infer, CONTRACT, PhotographInputs.of(photographs, 6, CONTRACT))
    answers = tuple({"logits": factor * answer["logits"]} for answer in found.answers)
    facts = {"classes": list(classes), "folders": [], "metric": metric or {}}
    Evaluation(found.samples, answers, facts).write(folder / "evaluation.npz")
    return ["--evaluation", folder / "evaluation.npz", "--labelled", photographs]


def test_an_engine_is_held_against_the_kept_answers_without_pytorch(tmp_path, photographs):
    record = checked(tmp_path, *write_evaluation(tmp_path, photographs))
    figures = record["evaluation"]
    assert (figures["images"], figures["labelled"], figures["relative_error"]) == (6, 5, 0)
    assert figures["engine"] == figures["pytorch"]
    assert record["proven_on_labels"] is True
    with pytest.raises(SlipwayError, match="not accurate enough: min_cosine -1"):
        checked(tmp_path, *write_evaluation(tmp_path, photographs, factor=-1))


def test_the_engines_answer_to_each_reference_sample_is_recorded_with_labels(tmp_path):
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(f"name {number}" for number in range(CLASSES)), encoding="utf-8")
    answers = checked(tmp_path, "--labels", labels)["answers"]
    reference = ReferenceOutputs.read(tmp_path / "reference_outputs.npz")
    best = [int(answer["logits"].argmax()) for answer in reference.outputs]
    tops = [answer["logits"]["top"][0] for answer in answers]
    assert [(top["index"], top["label"]) for top in tops] == [(index, f"name {index}") for index in best]


def test_photographs_that_changed_since_pytorch_was_asked_are_told(tmp_path, photographs):
    options = write_evaluation(tmp_path, photographs)
    Image.new("RGB", (CROP, CROP), "teal").save(photographs / "3.png")
    with pytest.raises(
        SlipwayError, match="the evaluation data changed since the model itself was asked: sample 3 is another"
    ):
        checked(tmp_path, *options)
    assert not (tmp_path / "accuracy.json").exists()


def test_the_users_metric_is_a_gate_with_pytorchs_value_beside_the_engines(tmp_path, photographs, monkeypatch):
    (tmp_path / "gate.py").write_text(
        "def spread(outputs, samples): return {'spread': max(abs(output['logits']).max() for output in outputs)}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = [*write_evaluation(tmp_path, photographs, metric={"spread": 7.0}), "--metric", "gate:spread"]
    values = checked(tmp_path, *options)["metric"]
    assert (values["pytorch"], values["engine"].keys()) == ({"spread": 7.0}, {"spread"})
    with pytest.raises(SlipwayError, match=r"not accurate enough: spread is .*, but must hold max 0\.001"):
        checked(tmp_path, *options, "--metric-limits", '{"spread": {"max": 0.001}}')


def test_the_record_has_how_far_answers_are_apart_beside_other_samples(tmp_path):
    distances = checked(tmp_path)["batch_independence"]
    assert distances["batches"] == [2, 4]
    assert distances["by_neighbours"] <= distances["by_size"] < 1e-5


@pytest.mark.parametrize("tolerance", [IN_32_BITS, IN_FEWER_BITS])
def test_an_onnx_file_that_answers_by_its_neighbours_is_refused(tolerance, tmp_path):
    tiny = tiny_engine(tmp_path, mixing=True)
    session = session_of(onnx.load(tmp_path / "tiny.onnx"))
    with pytest.raises(SlipwayError, match="the ONNX file cannot be served in batches"):
        require_batch_independence(session, tiny.contract, [{"input": tiny.batch}], tolerance)


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (None, []),
        (0.85, []),
        (0.853, ["the top-1 accuracy of the model itself is 0.8520, below `accuracy.min_top1`, 0.853"]),
        (0.9, ["the model itself is 0.8520", "the engine is 0.8560"]),
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


PICTURES = np.linspace(0, 1, 9)[:, None].astype(np.float32)
FLAT = np.hstack([100 + 0.001 * PICTURES, 50 - 0.002 * PICTURES])  # varies by less than any limit
REFERENCE = ReferenceOutputs(
    Contract((Tensor("input", "float32", (BATCH, 1)),), (Tensor("logits", "float32", (BATCH, 2)),)),
    tuple(Sample({"input": picture[None]}, {"logits": row[None]}) for picture, row in zip(PICTURES, FLAT, strict=True)),
)
LIMITS = {"max_relative_error": 0.001}


@pytest.mark.parametrize("origin", ["checkpoint", "rehearsal"])
def test_one_answer_to_everything_is_no_proof_though_it_holds_every_limit(origin):
    constant = following(REFERENCE.outputs, [{"logits": FLAT[4:5]}] * 9, LIMITS)
    assert "a model with one answer for everything would pass" in constant["weakness"]
    assert constant["error"] == pytest.approx(1)
    refused = variation_problems({"variation": constant, "origin": origin})
    assert bool(refused) == (origin == "checkpoint")


def test_an_engine_that_follows_small_differences_is_proven_by_them():
    followed = following(REFERENCE.outputs, REFERENCE.outputs, LIMITS)
    assert followed["error"] == 0
    assert variation_problems({"variation": followed, "origin": "checkpoint"}) == []


def test_values_that_the_limit_does_not_show_are_told(capsys):
    show_engine({"sample": SAMPLE, "evaluation": None, **NO_METRIC, "hidden_parts": ["in 2 of the 6 parts ..."]})
    assert "CAUTION: in 2 of the 6 parts" in capsys.readouterr().err


def test_a_constant_output_beside_one_that_varies_is_no_reason_to_refuse():
    references = [{"y": np.float32([number]), "positions": np.float32([100])} for number in range(3)]
    answers = [{"y": answer["y"], "positions": answer["positions"] + 1e-5 * answer["y"]} for answer in references]
    found = following(references, answers, LIMITS)
    assert found["error"] == 0
    assert "positions" in found["weakness"]
    assert variation_problems({"variation": found, "origin": "checkpoint"}) == []


def classes_of_photographs(folder, meaning, names):
    """Return the classes of a photograph of each name, of a model whose output has a meaning."""
    files = [folder / "photographs" / name / "0.jpg" for name in ("fine", "defect")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    (folder / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    arguments = Namespace(labelled=folder / "photographs", labels=folder / "labels.txt", labels_from=None)
    contract = Contract((), (Tensor("logits", "float32", (BATCH, len(names)), meaning=meaning),))
    return labelling_of(arguments, contract, SimpleNamespace(files=files)).classes.tolist()


@pytest.mark.parametrize("stated", [True, False])
def test_labelled_photographs_of_a_tensor_are_refused_unless_it_is_meant(tmp_path, stated):
    meaning = Meaning("tensor", reason=STATED if stated else "the meaning of its 3 outputs is not known")
    if stated:
        assert classes_of_photographs(tmp_path, meaning, ["defect", "fine"]) == [-1, -1]
    else:
        with pytest.raises(
            SlipwayError, match=r"names photographs by class .*photographs., but the meaning of its 3 outputs"
        ):
            classes_of_photographs(tmp_path, meaning, ["defect", "fine"])


def test_a_tensor_is_told_to_be_held_by_its_error_alone(capsys):
    show_engine({"sample": {"relative_error": 1e-3}, "evaluation": {"images": 3, "labelled": 0}, **NO_METRIC})
    assert "no decisions, so of the limits only max_relative_error is held" in capsys.readouterr().err


def test_photographs_of_a_yes_and_a_no_need_both_names(tmp_path):
    assert classes_of_photographs(tmp_path / "both", Meaning("sigmoid"), ["fine", "defect"]) == [0, 1]
    with pytest.raises(SlipwayError, match="the name of the no and the name of the yes"):
        classes_of_photographs(tmp_path / "one", Meaning("sigmoid"), ["defect"])


def test_an_engine_of_other_tensors_than_the_model_has_now_is_refused():
    contract = REFERENCE.contract
    require_interface({"interface": contract.interface()}, contract)
    other = Contract((Tensor("input", "int64", (BATCH, 1)),), contract.outputs)
    with pytest.raises(SlipwayError, match="other inputs and outputs than the model has now"):
        require_interface({"interface": other.interface()}, contract)
