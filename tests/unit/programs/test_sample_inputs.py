import numpy as np
import pytest
from helpers.models.tiny_network import PREPROCESS
from PIL import Image

import sample_inputs
from slipway.classification.images import load_image, sample_photograph
from slipway.classification.sample_photographs import photographs_of, variations
from slipway.contract.archives import read_samples
from slipway.contract.batches import joined
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError


def test_the_variations_are_always_the_same_and_no_two_alike():
    first, again = (joined(photographs_of(None, PREPROCESS, "uint8")[0])["input"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[0], PREPROCESS.pixels(load_image(sample_photograph())))
    pixels = first.astype(float)
    assert len(pixels) == 9
    apart = [[np.abs(one - other).mean() for other in pixels] for one in pixels]
    assert np.min(np.array(apart) + 1e3 * np.eye(len(pixels))) > 0.5  # of 255


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3)])
def test_a_photograph_of_any_shape_has_variations(size):
    assert [each.mode for each in variations(Image.new("RGB", size, "teal"))] == ["RGB"] * 8


def taken(folder, source, targets):
    """Take samples of a source into a folder, and return them."""
    options = f"--output {folder}/samples.npz --record {folder}/samples.json {source} --targets {targets}"
    sample_inputs.main(sample_inputs.parse_arguments(options.split()))
    return read_samples(folder / "samples.npz")


def test_targets_are_in_no_sample_that_a_network_gets(tmp_path, monkeypatch):
    body = "import numpy as np\nsamples = lambda: [{'x': np.ones((1, 2)), 'label': np.array('a')}] * 3"
    (tmp_path / "labelled_data.py").write_text(body, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    samples = taken(tmp_path, "--function labelled_data:samples", "label")
    assert [list(sample) for sample in samples] == [["x"]] * 3
    np.savez(tmp_path / "data.npz", x=np.ones((2, 2)), label=np.ones(2), mask=np.ones((2, 3)))
    assert [sample["x"].shape for sample in taken(tmp_path, f"--files {tmp_path}/data.npz", "label mask")] == [
        (1, 2)
    ] * 2
    assert read_json(tmp_path / "samples.json")["tensors"] == {"x": "float64 (1, 2)"}


def test_a_target_that_the_samples_lack_is_told_with_their_source_and_writes_nothing(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.ones((2, 2)), label=np.ones(2))
    sentence = r"data.npz, has no labels, which `metric.targets` names; it has x, label: add the array to every sample"
    with pytest.raises(SlipwayError, match=sentence):
        taken(tmp_path, f"--files {tmp_path}/data.npz", "label labels")
    assert not (tmp_path / "samples.npz").exists()
