from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.models.classifier_contract import classifier

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


class Native:
    """Candidates on a server with native backends, which notes the variants that are laid out."""

    server = NATIVE

    def __init__(self):
        self.variants = []

    def lay_out(self, folder, served, model):
        assert model == "m", "all variants have the candidate's engine"
        self.variants.append(served)


@pytest.fixture
def tried(monkeypatch):
    """Return a function that runs the trials of a TensorRT engine whose measurements are these figures."""

    def run(figures):
        candidates = Native()
        monkeypatch.setattr(Trial, "_measured", lambda *_: figures)
        options, trials = Trial(candidates, TENSORRT, 4, 0.0).run(Path())
        assert [served.options for served in candidates.variants] == [
            ServingOptions(),
            ServingOptions(model_warmup=True),
            ServingOptions(cuda_graphs=True),
            ServingOptions(pinned_memory=True),
        ]
        return options, {trial["option"]: trial for trial in trials}

    return run


def figures(first=SLOW_FIRST, graphs=(1200.0,) * 5, pinned=(1000.0,) * 5, rounds=5):
    own = {(WARMUP, FIRST_REQUEST): first, (GRAPHS, THROUGHPUT): graphs, (PINNED, THROUGHPUT): pinned}
    plain = {("", FIRST_REQUEST): SLOW_FIRST, ("", THROUGHPUT): [1000.0, 1001.0, 999.0, 1000.0, 998.0]}
    return {turn: list(values)[:rounds] for turn, values in (own | plain).items()}


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
