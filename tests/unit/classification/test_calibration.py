import numpy as np
import pytest
from helpers.models.random_images import photograph_batch
from helpers.models.tiny_network import PREPROCESS, photographs

from slipway.classification.image_files import find_images
from slipway.classification.photograph_inputs import read_calibration
from slipway.contract.batches import joined
from slipway.core.errors import SlipwayError


@pytest.fixture
def folder(tmp_path):
    return photographs(tmp_path / "calibration")


def read(folder, max_samples=100, input_dtype="float32"):
    return read_calibration(folder, max_samples, PREPROCESS, input_dtype)


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_every_photograph_is_read_in_order(folder, input_dtype):
    samples, _ = read(folder, input_dtype=input_dtype)
    assert (len(samples), samples[0]["input"].dtype) == (12, input_dtype)
    assert np.array_equal(joined(samples)["input"], photograph_batch(find_images(folder), PREPROCESS, input_dtype))


def test_a_limit_takes_photographs_from_the_whole_folder(folder):
    samples, sha256 = read(folder, max_samples=4)
    assert np.array_equal(joined(samples)["input"], photograph_batch(find_images(folder)[::3], PREPROCESS, "float32"))
    assert sha256 != read(folder)[1]


def test_the_hash_is_of_names_and_contents_and_not_of_the_place(folder, tmp_path):
    same = photographs(tmp_path / "elsewhere")
    assert read(folder)[1] == read(same)[1]
    (same / "01.png").rename(same / "99.png")
    assert read(folder)[1] != read(same)[1]


def test_another_content_is_another_hash(folder):
    before = read(folder)[1]
    (folder / "01.png").write_bytes((folder / "02.png").read_bytes())
    assert read(folder)[1] != before


def refusal(*arguments, **keywords):
    with pytest.raises(SlipwayError) as caught:
        read(*arguments, **keywords)
    return str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    assert f"{tmp_path / 'no'} does not exist" in refusal(tmp_path / "no")


def test_a_folder_without_photographs_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("none yet")
    assert f"{tmp_path} holds no image" in refusal(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_broken_photograph_is_named(folder, damage):
    broken = folder / "more" / "03.png"
    content = {"truncated": broken.read_bytes()[:200], "empty": b"", "text": b"not a picture"}[damage]
    broken.write_bytes(content)
    assert str(broken) in refusal(folder)
