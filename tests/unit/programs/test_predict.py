import json
from pathlib import Path

import numpy as np
import pytest
from helpers.models.server_metadata import LOGITS, PICTURES, described
from PIL import Image

import predict
from slipway.classification.folder_predictions import Classification, batched, read_inputs
from slipway.classification.images import Preprocessing
from slipway.classification.predictions import Predictions
from slipway.core.errors import SlipwayError
from slipway.deploy import client_options
from slipway.triton.repository.model_config import PREPROCESS

IMAGENET = Preprocessing(232, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def options(*given):
    return predict.parse_arguments(list(given))


# Pictures


def test_groups_are_full_but_the_last_and_taken_when_needed():
    taken = []
    groups = batched((taken.append(item) or item for item in range(7)), 3)
    assert next(groups) == [0, 1, 2]
    assert taken == [0, 1, 2]
    assert list(groups) == [[3, 4, 5], [6]]
    assert list(batched([], 3)) == []


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_broken_picture_leaves_the_others(tmp_path, dtype, capsys):
    Image.new("RGB", (300, 250), "red").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    kind = described({"x": ("UINT8" if dtype == "uint8" else "FP32", [-1, 3, 224, 224])}, LOGITS)
    predictions = Predictions()
    files = [tmp_path / "bad.png", tmp_path / "good.png"]
    task = Classification(kind, IMAGENET, 1, [], None, 5, strict=False)
    ((file, picture),) = read_inputs(files, task, predictions)
    assert (file.name, picture.shape, picture.dtype) == ("good.png", (3, 224, 224), np.dtype(dtype))
    assert task.batch_bytes == picture.nbytes
    assert [Path(failed["file"]).name for failed in predictions.failed] == ["bad.png"]
    with pytest.raises(SlipwayError, match="not an image"):
        list(read_inputs(files, Classification(kind, IMAGENET, 1, [], None, 5, strict=True), predictions))


def test_folders_and_files_are_taken_in_their_order(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    given = [Path("other.jpg"), tmp_path]
    assert predict.photographs(given) == [Path("other.jpg"), tmp_path / "a.jpg", tmp_path / "b.png"]
    assert [path.name for path in predict.photographs([])] == ["grace_hopper.jpg"]


# Preprocessing


def test_imagenets_preprocessing_fits_the_servers_size():
    assert predict.preprocessing_of(options(), described(PICTURES, LOGITS), {}) == IMAGENET
    small = described({"input": ("FP32", [-1, 3, 112, 112])}, LOGITS)
    assert predict.preprocessing_of(options(), small, {}) == Preprocessing(116, 112, IMAGENET.mean, IMAGENET.std)


def test_options_come_before_what_was_proven_and_that_before_imagenet():
    proven = {"resize": 256, "mean": [0.5, 0.5, 0.5], "input": "uint8", "torch_version": "2"}
    given = options("--mean", "0.1", "0.2", "0.3", "--interpolation", "bicubic")
    found = predict.preprocessing_of(given, described(PICTURES, LOGITS), proven)
    assert found == Preprocessing(256, 224, [0.1, 0.2, 0.3], IMAGENET.std, "bicubic")


def test_the_preprocessing_that_a_server_states_is_taken_and_a_guess_is_said(capsys):
    stated = {"resize": 72, "crop": 64, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "interpolation": "bicubic"}
    pictures = {"input": ("FP32", [-1, 3, 64, 64])}
    telling = described(pictures, LOGITS, parameters={PREPROCESS: json.dumps(stated)})
    assert predict.preprocessing_of(options(), telling, {}) == Preprocessing(**stated)
    assert predict.preprocessing_of(options("--resize", "64"), telling, {"resize": 80}).resize == 64
    assert "assumed" not in capsys.readouterr().err
    for foreign in ("crop", {}, stated | {"interpolation": "nearest"}, stated | {"mean": [0]}):
        silent = described(pictures, LOGITS, parameters={PREPROCESS: json.dumps(foreign)})
        assert predict.preprocessing_of(options(), silent, {}).resize == 66
        assert "assumed: resize 66, mean (0.485, 0.456, 0.406)" in capsys.readouterr().err


def test_a_size_that_the_server_leaves_open_is_the_crops():
    anything = described({"input": ("FP32", [-1, 3, -1, -1])}, LOGITS)
    assert predict.preprocessing_of(options("--crop", "448"), anything, {}).resize == 464
    assert predict.preprocessing_of(options(), anything, {}).crop == 224


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (["--crop", "256"], "takes 224 x 224 pixels, not --crop 256"),
        (["--resize", "200"], "--resize 200 is too low: the input has 224 x 224 pixels"),
    ],
)
def test_a_wrong_size_is_refused(given, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        predict.preprocessing_of(options(*given), described(PICTURES, LOGITS), {})


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (["--deadline-ms", "nan"], "--deadline-ms takes finite numbers"),
        (["--deadline-ms", "inf"], "--deadline-ms takes finite numbers"),
        (["--mean", "0", "nan", "0"], "`--mean` is .0, nan, 0.* each value must lie between 0 and 1"),
        (["--std", "0.2", "0", "0.2"], "`--std` is .* each value must lie above 0"),
        (["--deadline-ms", "0"], "--deadline-ms 0.0 is too low"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        predict.require_sensible(options(*given))


def test_labels_of_another_model_are_refused(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match="has 2 names, but m has 1000 classes"):
        predict.read_labels(tmp_path / "labels.txt", described(PICTURES, LOGITS))
    with pytest.raises(SlipwayError, match="is no file"):
        predict.read_labels(tmp_path / "none.txt", described(PICTURES, LOGITS))
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(SlipwayError, match="is not UTF-8 text"):
        predict.read_labels(tmp_path / "latin.txt", described(PICTURES, LOGITS))
    two = described(PICTURES, {"logits": ("FP32", [-1, 2])})
    assert predict.read_labels(tmp_path / "labels.txt", two) == ["cat", "dog"]


# Options


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (["--top", "0"], "--top 0 is too low; the lowest is 1"),
        (["--batch", "0"], "--batch 0"),
        (["--retries", "-1"], "--retries -1"),
        (["--deadline-ms", "0"], "--deadline-ms 0"),
        (["--ca", "ca.pem"], "--ca is for TLS; add --tls"),
        (["--server-name", "triton"], "--server-name is for TLS"),
    ],
)
def test_options_without_sense_are_refused(given, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        predict.require_sensible(options(*given))


def test_without_a_url_something_must_be_deployed_here(tmp_path):
    with pytest.raises(SlipwayError, match="no server of this checkout is live; run `make deploy`"):
        client_options.served_model(options("--state", str(tmp_path)))
