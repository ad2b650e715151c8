"""Archives of named arrays."""

import numpy as np
import pytest

from slipway.contract.archives import read_arrays, write_arrays


@pytest.mark.parametrize("name", ["file", "allow_pickle", "0/logits"])
def test_a_tensor_may_have_any_name(tmp_path, name):
    write_arrays(tmp_path / "answers.npz", {name: np.arange(3), "text": "words"})
    arrays = read_arrays(tmp_path / "answers.npz")
    np.testing.assert_array_equal(arrays[name], np.arange(3))
    assert str(arrays["text"]) == "words"


def test_an_archive_has_the_bytes_that_numpy_writes(tmp_path):
    arrays = {"empty": np.zeros((0, 2)), "half": np.ones((2, 3), np.float16)}
    write_arrays(tmp_path / "ours.npz", arrays)
    np.savez(tmp_path / "numpys.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpys.npz").read_bytes()
