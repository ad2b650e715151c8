from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.models.classifier_contract import classifier

from slipway.load_test import option_trials
from slipway.load_test.option_trials import (
    FIRST_REQUEST,
    GRAPHS,
    PINNED,
    THROUGHPUT,
    WARMUP,
    Trial,
    options_of,
    trial_in_words,
)
from slipway.triton.repository.model_config import Served, ServingOptions

NATIVE, PYTHON = SimpleNamespace(native_backends=True), SimpleNamespace(native_backends=False)
TENSORRT = Served("m", "tensorrt", "fp16", classifier("float32", 16, 5), max_batch_size=8, instances=1)
OPENVINO = Served("m", "openvino", "fp32", classifier("float32", 16, 5), max_batch_size=8, instances=1)
SLOW_FIRST = [50.0, 52.0, 51.0, 49.0, 50.0]


def test_only_a_native_backend_has_options():
    assert options_of(TENSORRT, NATIVE) == [WARMUP, GRAPHS, PINNED]
    assert options_of(OPENVINO, NATIVE) == [WARMUP]
    assert options_of(OPENVINO, PYTHON) == []


@pytest.fixture
def tried(monkeypatch):
    """Return a function that runs the trials of a TensorRT engine whose measurements are these figures."""
    laid_out = []
    monkeypatch.setattr(option_trials, "lay_out_candidate", lambda _, served, *others: laid_out.append(served))
    monkeypatch.setattr(option_trials, "as_served", lambda *_: {})

    def run(figures):
        monkeypatch.setattr(Trial, "_measured", lambda *_: figures)
        options, trials = Trial(Path(), NATIVE, 1.0, 0.0).run(TENSORRT, None, [{}], 4)
        assert [served.options for served in laid_out] == [
            ServingOptions(),
            ServingOptions(model_warmup=True),
            ServingOptions(cuda_graphs=True),
            ServingOptions(pinned_memory=True),
        ]
        return options, {trial["option"]: trial for trial in trials}

    return run


def figures(first=SLOW_FIRST, graphs=(1200.0,) * 5, pinned=(1000.0,) * 5, rounds=5):
    plain = {FIRST_REQUEST: SLOW_FIRST[:rounds], THROUGHPUT: [1000.0, 1001.0, 999.0, 1000.0, 998.0][:rounds]}
    own = {WARMUP: {FIRST_REQUEST: first}, GRAPHS: {THROUGHPUT: graphs}, PINNED: {THROUGHPUT: pinned}}
    return {"": plain, **own}


def test_what_helps_in_every_round_is_taken_and_nothing_else(tried):
    options, trials = tried(figures(first=[5.0] * 5))
    assert options == ServingOptions(model_warmup=True, cuda_graphs=True, pinned_memory=False)
    assert trials[GRAPHS]["ratio"]["low"] > 1
    assert trials[PINNED]["ratio"]["low"] <= 1 <= trials[PINNED]["ratio"]["high"]
    assert "first request (ms) with it over without is 0.10" in trial_in_words(trials[WARMUP])
    assert trial_in_words(trials[PINNED]).endswith("not taken")


def test_one_round_on_the_other_side_is_noise(tried):
    options, _ = tried(figures(first=[5.0, 5.0, 60.0, 5.0, 5.0], graphs=[1300.0, 990.0, 1300.0, 1300.0, 1300.0]))
    assert options == ServingOptions()


def test_what_slows_down_is_not_taken(tried):
    options, _ = tried(figures(first=[90.0] * 5, graphs=[700.0] * 5, pinned=[900.0] * 5))
    assert options == ServingOptions()


def test_too_few_rounds_take_nothing(tried):
    options, trials = tried(figures(first=[5.0] * 5, rounds=2))
    assert options == ServingOptions()
    assert trial_in_words(trials[GRAPHS]).endswith("not taken, after 2 of 5 rounds")
    _, trials = tried_again(tried)
    assert trial_in_words(trials[GRAPHS]) == "cuda_graphs: not measured in the time, not taken"


def tried_again(tried):
    """Return the trials that no time was left for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(option_trials, "lay_out_candidate", lambda *_: None)
        patched.setattr(Trial, "_measured", lambda *_: figures(rounds=0))
        options, trials = Trial(Path(), NATIVE, 1.0, 0.0).run(TENSORRT, None, [{}], 4)
    return options, {trial["option"]: trial for trial in trials}
