"""Samples come evenly spread from functions and files, and each mistake of a user is told with its place."""

import sys
import textwrap

import numpy as np
import pytest

from slipway.contract.sample_sources import digest_of, files_of, is_function
from slipway.contract.samples import LONGEST, spread, take_samples
from slipway.core.errors import SlipwayError

ROW = "{'x': np.full((1, 2), index, np.float32)}"


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Return a function that writes a function `samples` of some lines, and takes samples of it."""
    monkeypatch.syspath_prepend(tmp_path)

    def take(body, count=9, batched=None, targets=()):
        lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (tmp_path / "own_data.py").write_text(f"import numpy as np\n\n\ndef samples():\n{lines}\n", encoding="utf-8")
        sys.modules.pop("own_data", None)
        return take_samples("own_data:samples", count, batched, targets)

    return take


def values(samples):
    return [int(sample["x"].ravel()[0]) for sample in samples]


@pytest.mark.parametrize(("total", "expected"), [(1, [0]), (3, [0, 1, 2]), (9, [0, 2, 6]), (100, [0, 32, 64])])
def test_samples_of_an_unknown_number_are_spread_evenly(total, expected):
    assert spread(iter(range(total)), 3) == expected


def test_a_generator_a_list_and_an_endless_one_give_the_first_and_then_evenly(given):
    assert values(given(f"for index in range(40): yield {ROW}", count=4)) == [0, 8, 16, 24]
    assert values(given(f"return [{ROW} for index in range(40)]", count=4)) == [0, 10, 20, 30]
    endless = values(given(f"index = 0\nwhile True:\n    yield {ROW}\n    index += 1", count=4))
    assert endless[0] == 0
    assert max(endless) < LONGEST


def test_rows_of_a_batch_are_samples(given):
    body = "yield {'x': np.arange(6, dtype=np.float32).reshape(3, 2), 'y': np.zeros((3, 1))}"
    samples = given(body, batched=True)
    assert [sample["x"].shape for sample in samples] == [(1, 2)] * 3
    assert [sample["x"].shape for sample in given(body)] == [(3, 2)]
    with pytest.raises(SlipwayError, match=r"different lengths along the batch axis \(x \(3, 2\), y \(1, 1\)\)"):
        given("yield {'x': np.zeros((3, 2)), 'y': np.zeros((1, 1))}", batched=True)


def test_tensors_of_pytorch_are_arrays(given):
    (sample,) = given("import torch\nyield {'x': torch.ones(1, 2)}")
    assert isinstance(sample["x"], np.ndarray)


LABELLED = "yield {'x': np.zeros((3, 2)), 'label': np.array(['a', 'b', 'c'])}"


def test_targets_are_of_any_dtype_and_go_with_the_rows_of_the_inputs(given, tmp_path):
    assert [sample["label"].tolist() for sample in given(LABELLED, batched=True, targets=["label"])] == [
        ["a"],
        ["b"],
        ["c"],
    ]
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 3)), label=[np.nan, 1], boxes=np.zeros((2, 0, 4)))
    one, two = take_samples(str(tmp_path / "data.npz"), 9, None, ["label", "boxes"])
    assert (np.isnan(one["label"]).all(), two["label"].tolist(), two["boxes"].shape) == (True, [1], (1, 0, 4))
    (whole,) = take_samples(str(tmp_path / "data.npz"), 9, False, ["label", "boxes"])
    assert [whole[name].shape for name in whole] == [(2, 3), (2,), (2, 0, 4)]


def test_targets_of_one_sample_may_have_any_shape_and_differ_in_it(given):
    body = (
        "for count in range(3): yield {'x': np.zeros((1, 2)), 'boxes': np.zeros((count, 4)), 'label': np.array(count)}"
    )
    samples = given(body, batched=True, targets=["label", "boxes"])
    assert [(sample["boxes"].shape, sample["label"].item()) for sample in samples] == [((n, 4), n) for n in range(3)]


@pytest.mark.parametrize("batched", [True, None])
def test_targets_that_are_not_as_many_as_the_rows_are_told(tmp_path, batched):
    np.savez(tmp_path / "data.npz", x=np.zeros((3, 2)), label=np.zeros(2))
    with pytest.raises(SlipwayError, match=r"data.npz has arrays of different lengths .*\(x \(3, 2\), label \(2,\)\)"):
        take_samples(str(tmp_path / "data.npz"), 9, batched, ["label"])


def test_samples_without_an_input_or_with_objects_as_target_are_told(given):
    with pytest.raises(
        SlipwayError, match=r"sample 0 of own_data:samples at .*own_data.py:5 has no arrays for the inputs"
    ):
        given("yield {'label': np.zeros(1)}", targets=["label"])
    with pytest.raises(SlipwayError, match="has objects in label"):
        given("yield {'x': np.zeros(1), 'label': np.array([None])}", targets=["label"])


MISTAKES = {
    "the function fails": ("raise KeyError('no data')", r"fails \(KeyError: 'no data'\) at own_data.py:5: raise Key"),
    "nothing at all": ("return iter(())", "gives no sample"),
    "returns None": ("pass", r"returns nothing \(None\) at own_data.py:4; let it yield a dictionary"),
    "returns one dictionary": ("return {'x': np.zeros((1, 2))}", "returns a dict at own_data.py:4; let it yield"),
    "yields arrays": (
        "yield np.zeros((1, 2))",
        r"sample 0 of own_data:samples at own_data.py:5 is a ndarray of",
    ),
    "yields tuples": ("yield np.zeros((1, 2)), 3", r"is a tuple; let it yield a dictionary"),
    "an empty dictionary": ("yield {}", "at own_data.py:5 has no arrays"),
    "a number as name": ("yield {0: np.zeros((1, 2))}", "has the key 0; let it have the names of the inputs"),
    "lists": ("yield {'x': [[1.0, 2.0]]}", r"has a list as x; make it an array \(numpy.asarray\)"),
    "objects": ("yield {'x': np.array([None])}", "has objects in x, but a model takes numbers"),
    "text": (
        "yield {'x': np.array(['a'])}",
        r"has values of the type <U1 in x, .* if only the metric reads x, say so: `metric: {targets: \[x\]}`",
    ),
    "NaN": ("yield {'x': np.array([[0, np.nan]])}", "has NaN or infinities in x"),
    "empty arrays": ("yield {'x': np.zeros((1, 0))}", r"has an empty array of the shape \(1, 0\) as x"),
    "other names": (
        "yield {'x': np.zeros((1, 2))}\nyield {'y': np.zeros((1, 2))}",
        "sample 1 of own_data:samples at own_data.py:6 has the arrays y, but the first sample has x",
    ),
    "another dtype": (
        "yield {'x': np.zeros((1, 2))}\nyield {'x': np.zeros((1, 2), int)}",
        r"has int64 \(1, 2\) as x, but the first sample has float64 \(1, 2\)",
    ),
    "another number of axes": (
        "yield {'x': np.zeros((1, 2))}\nyield {'x': np.zeros((1, 2, 3))}",
        r"float64 \(1, 2, 3\) as x, but the first sample has float64 \(1, 2\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_users_function_is_told_in_one_sentence_with_its_line(given, mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    body, sentence = MISTAKES[mistake]
    with pytest.raises(SlipwayError, match=sentence) as caught:
        given(body)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_missing_or_breaks_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SlipwayError, match=r"no_such_data:samples, cannot be imported .*; install its package"):
        take_samples("no_such_data:samples", 1)
    (tmp_path / "broken_data.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"cannot be imported \(division by zero\) at broken_data.py:1: 1 / 0"):
        take_samples("broken_data:samples", 1)
    (tmp_path / "broken_data.py").write_text("samples = 3\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match="is no function; let it yield a dictionary"):
        take_samples("broken_data:samples", 1)


def test_rows_of_files_are_samples_unless_the_model_has_no_batch_axis(tmp_path):
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", x=np.full((4, 2), number, np.float32), y=np.zeros((4, 1)))
    samples = take_samples(str(tmp_path), 3)
    assert [sample["x"].shape for sample in samples] == [(1, 2)] * 3
    assert values(samples) == [0, 1, 2]
    assert [sample["x"].shape for sample in take_samples(str(tmp_path / "0.npz"), 9, batched=False)] == [(4, 2)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"cannot be read \(.*; write it with numpy.savez"),
        (b"noise", r"cannot be read \(.*; write it with numpy.savez"),
        ({"x": np.array([None])}, r"cannot be read \(Object arrays cannot be loaded"),
        ({"x": np.array([[np.inf]])}, "has NaN or infinities in x"),
        ({}, "has no arrays"),
    ],
    ids=["empty", "noise", "objects", "infinity", "nothing"],
)
def test_a_file_without_samples_is_named(tmp_path, content, sentence):
    path = tmp_path / "data.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(SlipwayError, match=rf"data.npz {sentence}"):
        take_samples(str(path), 9)


def test_sources_are_told_apart_and_hashed_by_content(tmp_path):
    assert is_function("my.data:samples")
    assert not is_function("data/samples.npz")
    np.savez(tmp_path / "a.npz", x=np.zeros(1))
    before = digest_of(tmp_path)
    (tmp_path / "notes.txt").touch()
    assert digest_of(tmp_path) == before
    np.savez(tmp_path / "a.npz", x=np.ones(1))
    assert digest_of(tmp_path) != before
    for missing, sentence in [("none", "does not exist"), ("notes.txt", "is no .npz file")]:
        with pytest.raises(SlipwayError, match=sentence):
            files_of(tmp_path / missing)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlipwayError, match=r"holds no \.npz file"):
        files_of(tmp_path / "empty")
