import argparse
import json
import shlex

import pytest

from slipway.keys.job_key import JobKey


def read_back(settings: JobKey) -> dict:
    """Return what argparse reads from the text form, by the type of each value."""
    parser = argparse.ArgumentParser()
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction)
        elif isinstance(value, list | tuple):
            parser.add_argument(flag, nargs="+", type=type(value[0]))
        else:
            parser.add_argument(flag, type=str if value is None else type(value))
    return vars(parser.parse_args(shlex.split(str(settings))))


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "two words",
        'it\'s "quoted"',
        "$HOME `id` ; rm * \\",
        "Intel(R) Xeon(R) [avx2 avx512f] x8",
        "ünïcode",
        "",
        "{wildcard}",
        "-starts-with-a-dash",
        "--like-an-option",
        json.dumps({"num_classes": 3, "name": "a b"}),
        0,
        -3,
        0.1,
        -0.5,
        1e-05,
        -1e-05,
        [1, 8],
        [0.485, 0.456, 0.406],
        [-0.5, 0.25],
        ["one thing", "it's another"],
        True,
        False,
        None,
    ],
    ids=repr,
)
def test_a_value_is_read_back(value):
    assert read_back(JobKey(one_value=value)) == {"one_value": value}


def test_several_values_are_read_back():
    settings = JobKey(batch_sizes=[1, 8], seconds=4, warm=True, log=None, cold=False, name="my model")
    assert read_back(settings) == dict(settings)


def test_the_text_is_a_command_line():
    assert str(JobKey(warmup_seconds=1, batch_sizes=[1, 8])) == "--batch-sizes 1 8 --warmup-seconds=1"


def test_nothing_is_nothing():
    assert str(JobKey()) == ""
    assert repr(JobKey()) == "{}"


def test_the_representation_is_independent_of_insertion_order():
    assert repr(JobKey(a=1, b=2, c=3)) == repr(JobKey(c=3, a=1, b=2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {}),
        ({"a": "x", "b": None}, {"a": None, "b": "x"}),
    ],
)
def test_a_difference_is_seen(one, other):
    assert repr(JobKey(one)) != repr(JobKey(other))


def test_the_representation_is_complete():
    settings = JobKey(b="text", a=[1, 2], c=None)
    assert eval(repr(settings)) == dict(settings)
