import numpy as np
import pytest

from slipway.benchmark.metric import broken, measure
from slipway.core.errors import SlipwayError

CODE = """
import numpy as np


def error(outputs, samples):
    return {"error": np.mean([abs(output["y"] - sample["x"]).max() for output, sample in zip(outputs, samples)])}


def fails(outputs, samples):
    return {"error": outputs[0]["z"]}


def nothing(outputs, samples):
    print("forgot to return")


def words(outputs, samples):
    return {"error": "small"}
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "own_metrics.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def measured(name, limited=()):
    answers, samples = [{"y": np.float32([1, 2])}] * 2, [{"x": np.float32([1, 2.5])}] * 2
    return measure(f"own_metrics:{name}", answers, samples, limited)


def test_the_function_gets_outputs_and_samples_and_gives_values():
    assert measured("error") == {"error": 0.5}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "fails",
            r"the metric own_metrics:fails fails \(KeyError: 'z'\) at .*own_metrics.py:10: return .*; it is called",
        ),
        ("nothing", "returns None, where {name: number} is needed"),
        ("words", "returns {'error': 'small'}, where"),
        ("missing", "has no attribute 'missing'"),
    ],
)
def test_a_function_that_fails_is_told_in_a_sentence_with_its_line(name, sentence):
    with pytest.raises(SlipwayError, match=sentence) as caught:
        measured(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("limited", "named"), [("eror", "`eror` (nearest: `error`)"), ("recall", "`recall`")])
def test_a_limit_of_a_value_that_the_function_does_not_return_is_told_with_the_nearest_one(limited, named):
    with pytest.raises(SlipwayError) as caught:
        measured("error", limited=["error", limited])
    expected = f"`metric.limits` in config.yaml names {named}, but the metric own_metrics:error returns only `error`;"
    assert str(caught.value).startswith(expected)


def test_a_value_beyond_its_limit_is_named():
    limits = {"cosine": {"min": 0.9}, "error": {"min": 0, "max": 0.1}}
    assert broken({"cosine": 0.9, "error": 0.1, "other": 7}, limits) == []
    assert broken({"cosine": 0.8, "error": 0.2}, limits) == [
        "cosine is 0.8, but must hold min 0.9",
        "error is 0.2, but must hold min 0 and max 0.1",
    ]


def test_a_value_that_is_not_a_number_breaks_every_limit():
    assert len(broken({"error": float("nan")}, {"error": {"max": 1}})) == 1
