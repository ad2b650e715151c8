"""A network that is fed otherwise than it was trained is found out on labelled photographs."""

import json

import numpy as np
import pytest
import torch
from helpers.models import colour_network
from helpers.models.canonical_weights import write_weights
from helpers.models.colour_network import NAMES, trained, write_checkpoint, write_photographs
from helpers.models.text_contract import TEXT

import evaluate_checkpoint
from slipway.benchmark.evaluation import Evaluation, stacked
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.outputs.meaning import LOGITS, STATED, Meaning

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
UNIT = ((0.0,) * 3, (1.0,) * 3)
PIXELS = ((0.0,) * 3, (1 / 255,) * 3)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("colours"))


def evaluated(folder, labelled, mean, std, *options, side=16, meaning=LOGITS):
    """Evaluate the checkpoint of a folder, whose outputs mean something; return the record."""
    preprocess = {"resize": side, "crop": side, "mean": mean, "std": std, "interpolation": "bilinear"}
    taken, given = (
        Tensor("input", "float32", (BATCH, 3, side, side)),
        Tensor("logits", "float32", (BATCH, None), meaning=meaning),
    )
    write_json(folder / "contract.json", Contract((taken,), (given,), facts={"preprocess": preprocess}).record())
    files = {
        "weights": "weights.safetensors",
        "weights-record": "weights.json",
        "labels": "labels.txt",
        "contract": "contract.json",
        "evaluation": "evaluation.npz",
        "output": "accuracy.json",
    }
    arguments = [word for name, file in files.items() for word in (f"--{name}", str(folder / file))]
    arguments += ["--labelled", str(labelled), *map(str, options)]
    evaluate_checkpoint.main(evaluate_checkpoint.parse_arguments(arguments))
    return read_json(folder / "accuracy.json")


@pytest.mark.parametrize("training", [IMAGENET, HALF, UNIT, PIXELS], ids=["imagenet", "half", "unit", "pixels"])
def test_the_right_preprocessing_has_no_better_one(tmp_path, photographs, training):
    write_checkpoint(tmp_path, trained(*training))
    found = evaluated(tmp_path, photographs, *training)
    assert (found["top1"], found["labelled"], found["warnings"]) == (1, 72, [])
    assert 0.9 < found["top1_interval"][0] < found["top1_interval"][1] == 1
    assert {each["rule"] for each in found["folders"]} == {"name"}
    assert [(each["folder"], each["class"]) for each in found["folders"] if each["folder"] == "teal"] == [("teal", 3)]


def test_pytorchs_answers_are_kept_for_the_engines_with_the_classes_of_the_photographs(tmp_path, photographs):
    write_checkpoint(tmp_path, trained(*HALF))
    evaluated(tmp_path, photographs, *HALF)
    kept = Evaluation.read(tmp_path / "evaluation.npz", Contract.read(tmp_path / "contract.json"))
    assert len(kept.samples) == len(set(kept.samples)) == 72
    assert stacked(kept.answers, "logits").argmax(axis=1).tolist() == kept.facts["classes"]


def test_a_metric_that_pytorch_itself_breaks_stops_before_any_engine(tmp_path, photographs, monkeypatch):
    write_checkpoint(tmp_path, trained(*HALF))
    (tmp_path / "own_metric.py").write_text("def mean(outputs, samples): return {'mean': outputs[0]['logits'].mean()}")
    monkeypatch.syspath_prepend(tmp_path)
    metric = ["--metric", "own_metric:mean", "--metric-limits", '{"mean": {"min": 1e6}}', "--max-samples", 8]
    with pytest.raises(SlipwayError, match="PyTorch itself breaks the limits of own_metric:mean: mean is"):
        evaluated(tmp_path, photographs, *HALF, *metric)
    misspelled = [*metric[:3], '{"meen": {"min": 1e6}}', *metric[4:]]
    with pytest.raises(SlipwayError, match=r"^`metric.limits` in config.yaml names `meen` \(nearest: `mean`\), but"):
        evaluated(tmp_path, photographs, *HALF, *misspelled)
    assert not (tmp_path / "evaluation.npz").exists()
    assert evaluated(tmp_path, photographs, *HALF, *metric[:2], *metric[4:])["metric"].keys() == {"mean"}


@pytest.mark.parametrize(
    ("training", "configured", "written"),
    [
        (HALF, IMAGENET, "`preprocess: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}`"),
        (IMAGENET, HALF, "`preprocess: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}`"),
        (UNIT, IMAGENET, "`preprocess: {mean: [0, 0, 0], std: [1, 1, 1]}`"),
        (PIXELS, IMAGENET, "`preprocess: {mean: [0, 0, 0], std: [0.00392157, 0.00392157, 0.00392157]}`"),
        (((0.498,) * 3, (0.502,) * 3), IMAGENET, "`preprocess: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}`"),
    ],
    ids=["half", "imagenet", "unit", "pixels", "nearly half"],
)
def test_another_preprocessing_that_is_clearly_better_is_told_with_what_to_write(
    tmp_path, photographs, training, configured, written, capsys
):
    write_checkpoint(tmp_path, trained(*training))
    found = evaluated(tmp_path, photographs, *configured)
    (warning,) = found["warnings"]
    assert written in warning
    assert f"the model's own top-1 accuracy is {found['top1']:.1%} as configured and 100.0% with" in warning
    assert f"WARNING: {warning}" in capsys.readouterr().err
    tried = {each["name"]: each for each in found["alternatives"]}
    assert max(each["top1"] for each in tried.values()) == 1
    assert min(each["chance"] for each in tried.values()) < 1e-6


def test_channels_in_another_order_are_told(tmp_path, photographs):
    write_checkpoint(tmp_path, trained(*HALF, bgr=True))
    (warning,) = evaluated(tmp_path, photographs, *HALF)["warnings"]
    assert "100.0% with channels in the order BGR" in warning
    assert "a factory as `architecture` whose module swaps the channels" in warning


def test_a_gain_that_may_be_chance_is_not_told(tmp_path):
    few = write_photographs(tmp_path / "few", each=1)
    for folder in sorted(few.iterdir())[3:]:
        (folder / "0.png").unlink()
    write_checkpoint(tmp_path, trained(*HALF))
    found = evaluated(tmp_path, few, *IMAGENET)
    assert (found["labelled"], found["warnings"]) == (3, [])


def test_weights_far_below_their_published_accuracy_are_told(tmp_path, photographs):
    torch.manual_seed(0)
    write_weights(tmp_path, build("squeezenet1_1"), "squeezenet1_1", origin="torchvision", weights="default")
    names = [f"thing {index}" for index in range(1000)]
    (tmp_path / "labels.txt").write_text("\n".join([*NAMES, *names[12:]]), encoding="utf-8")
    found = evaluated(tmp_path, photographs, *IMAGENET, "--max-samples", 12, side=64)
    assert found["published_top1"] == 0.58178
    assert "torchvision publishes 58.2% for these weights on ImageNet-1K" in found["warnings"][0]


def test_random_weights_are_not_asked_for_a_better_preprocessing(tmp_path, photographs):
    write_checkpoint(tmp_path, trained(*HALF))
    record = read_json(tmp_path / "weights.json")
    (tmp_path / "weights.json").write_text(json.dumps({**record, "origin": "rehearsal"}), encoding="utf-8")
    found = evaluated(tmp_path, photographs, *IMAGENET)
    assert (found["alternatives"], found["warnings"]) == ([], [])
    assert found["top1"] < 1


def test_numbers_that_are_no_class_scores_have_no_accuracy(tmp_path, photographs):
    write_checkpoint(tmp_path, trained(*HALF))
    stated, unknown = (Meaning("tensor", reason=why) for why in (STATED, "the meaning of its 3 outputs is not known"))
    assert evaluated(tmp_path, photographs, *HALF, meaning=stated)["labelled"] == 0
    with pytest.raises(SlipwayError, match="but the meaning of its 3 outputs is not known"):
        evaluated(tmp_path, photographs, *HALF, meaning=unknown)


READER = """
import numpy as np, torch

class Reader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.scores, self.embedding = torch.nn.Embedding(90, 4), torch.nn.Linear(4, 3), torch.nn.Identity()

    def forward(self, input_ids, attention_mask):
        weights = attention_mask[..., None].float()
        mean = (self.words(input_ids) * weights).sum(1) / weights.sum(1)
        return {"scores": self.scores(mean), "embedding": mean}

def samples():
    for length in (3, 5, 5, 4):
        inputs = {"input_ids": np.full((1, length), length), "attention_mask": np.ones((1, length), np.int64)}
        yield {**inputs, "length": np.array(str(length))}

def separation(outputs, samples):
    assert [sample["input_ids"].shape[1] for sample in samples] == [3, 5, 5, 4]
    assert [sample["length"].item() for sample in samples] == ["3", "5", "5", "4"]
    one, other, same, _ = [output["embedding"] for output in outputs]
    return {"apart": np.linalg.norm(one - other), "same": np.linalg.norm(other - same)}
"""


def test_a_model_with_samples_is_evaluated_on_them_with_the_users_metric_of_targets(tmp_path, monkeypatch):
    (tmp_path / "own_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    write_weights(tmp_path, build("own_reader:Reader"), "own_reader:Reader")
    write_json(tmp_path / "contract.json", TEXT.record())
    (tmp_path / "labels.txt").touch()
    files = {"weights": "weights.safetensors", "weights-record": "weights.json", "contract": "contract.json"}
    files |= {"labels": "labels.txt", "evaluation": "evaluation.npz", "output": "accuracy.json"}
    arguments = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    arguments += ["--function", "own_reader:samples", "--metric", "own_reader:separation", "--targets", "length"]
    evaluate_checkpoint.main(
        evaluate_checkpoint.parse_arguments([*arguments, "--metric-limits", '{"same": {"max": 0}}'])
    )
    record = read_json(tmp_path / "accuracy.json")
    assert (record["samples"], record["metric"]["same"], record["metric"]["apart"] > 0) == (4, 0, True)
    kept = Evaluation.read(tmp_path / "evaluation.npz", TEXT)
    assert [answer["scores"].shape for answer in kept.answers] == [(1, 3)] * 4
    assert kept.facts == {"metric": record["metric"]}


# A floor on accuracy


def test_accuracy_below_the_floor_writes_nothing_and_says_why(tmp_path, photographs):
    write_checkpoint(tmp_path, trained(*HALF))
    assert evaluated(tmp_path, photographs, *HALF, "--min-top1", 0.95)["top1"] == 1
    before = (tmp_path / "accuracy.json").read_bytes()
    with pytest.raises(
        SlipwayError, match=r"the model's own top-1 accuracy is .* below `accuracy\.min_top1`, 95\.0%"
    ) as caught:
        evaluated(tmp_path, photographs, *IMAGENET, "--min-top1", 0.95)
    assert "{mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}" in str(caught.value)
    assert (tmp_path / "accuracy.json").read_bytes() == before


def test_a_floor_needs_photographs_whose_class_is_known(tmp_path):
    write_checkpoint(tmp_path, trained(*HALF))
    flat = write_photographs(tmp_path / "flat")
    for path in sorted(flat.glob("*/0.png")):
        path.rename(flat / f"{path.parent.name}.png")
    for path in flat.glob("*/*.png"):
        path.unlink()
    assert evaluated(tmp_path, flat, *HALF)["labelled"] == 0
    with pytest.raises(SlipwayError, match=r"none of the 12 photographs has a known class"):
        evaluated(tmp_path, flat, *HALF, "--min-top1", 0.5)


# Folders that can be read in two ways


NUMBERS = [str(number) for number in range(12)]
BY_IMAGEFOLDER = sorted(range(12), key=str)
MADE_UP = [f"class {number}" for number in NUMBERS]


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("numbered"), NUMBERS)


def test_numbered_folders_of_a_network_that_was_trained_on_their_numbers(tmp_path, numbered):
    write_checkpoint(tmp_path, trained(*HALF), MADE_UP)
    found = evaluated(tmp_path, numbered, *HALF)
    assert found["top1"] == 1
    assert {each["rule"] for each in found["folders"]} == {"index"}


def test_numbered_folders_of_a_network_that_was_trained_with_imagefolder_are_refused_with_both_readings(
    tmp_path, numbered
):
    write_checkpoint(tmp_path, trained(*HALF, order=BY_IMAGEFOLDER), MADE_UP)
    with pytest.raises(SlipwayError) as caught:
        evaluated(tmp_path, numbered, *HALF)
    assert "10 is class 10 by index (the model's top-1 accuracy is then 16.7%)" in str(caught.value)
    assert "class 2 by sorted order (100.0%); torchvision's ImageFolder reads them in sorted order" in str(caught.value)
    assert not (tmp_path / "accuracy.json").exists()


@pytest.mark.parametrize("content", ["\n".join(map(str, BY_IMAGEFOLDER)), None], ids=["text", "class_to_idx"])
def test_a_label_file_in_imagefolders_order_settles_it(tmp_path, numbered, content):
    write_checkpoint(tmp_path, trained(*HALF, order=BY_IMAGEFOLDER), list(map(str, BY_IMAGEFOLDER)))
    labels = tmp_path / "names"
    labels.write_text(content or json.dumps({str(name): index for index, name in enumerate(BY_IMAGEFOLDER)}))
    found = evaluated(tmp_path, numbered, *HALF, "--labels-from", labels)
    assert found["top1"] == 1
    assert {each["folder"]: each["class"] for each in found["folders"]}["10"] == 2


def test_a_network_that_settles_nothing_leaves_both_readings_open(tmp_path, numbered):
    write_checkpoint(tmp_path, {name: torch.zeros_like(value) for name, value in trained(*HALF).items()}, MADE_UP)
    with pytest.raises(SlipwayError, match="can be read in two ways"):
        evaluated(tmp_path, numbered, *HALF)


def test_the_colours_are_told_apart_by_their_steps():
    steps = np.linalg.norm(colour_network.COLOURS[:, None] - colour_network.COLOURS[None], axis=-1)
    assert steps[~np.eye(12, dtype=bool)].min() >= 0.15 - 1e-9
