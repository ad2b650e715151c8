"""A retrained model with `tensorrt.refit`: the engine takes the new weights, or is built when it cannot be proven."""

import json
import sys

import pytest
from helpers.gpu_stand_in.networks import BUILD_OPTIONS
from helpers.models.weeks import FAST, SLOW, ways

from slipway.core.artifacts import sha256


def test_only_weights_changed_so_the_engine_is_refitted(week):
    first = week.build(refit=True)
    assert first["not_refittable_reason"] is None
    week.train(2)
    record = week.build(refit=True, builds=["no build"])
    assert ways(record) == [("refit", False)]
    assert record["way"] == "refit"
    assert record["key"] == first["key"] | {"onnx_sha256": sha256(week.onnx)}
    assert record["weights_sha256"] == "training 2"
    assert record["first_build"] == first["first_build"]
    assert record["builder"] == first["builder"]
    assert record["layers"] == first["layers"]
    assert week.answers_as_trained()
    assert week.said[-1].startswith("  refitted in ")


def test_and_the_week_after_again(week):
    first = week.build(refit=True)["first_build"]
    for seed in (2, 3):
        week.train(seed)
        record = week.build(refit=True, builds=["no build"])
        assert (record["way"], record["first_build"]) == ("refit", first)
        assert week.answers_as_trained()


def test_what_was_saved_is_told_against_the_cold_build_even_if_refit_was_off_then(week):
    cold = week.build()["first_build"]
    week.train(2)
    assert week.build(refit=True)["first_build"] == cold
    week.train(3)
    record = week.build(refit=True, builds=["no build"])
    assert (record["way"], record["first_build"]) == ("refit", cold)
    assert f"% of a cold build's {cold['seconds']:.1f} s)" in week.said[-1]


@pytest.mark.parametrize("forgotten", ["kernel", "bias", "gain"])
def test_a_refit_that_leaves_a_weight_as_it_was_is_followed_by_a_build(week, forgotten):
    week.build(refit=True)
    week.train(2)
    week.gpu.forgets = {forgotten}
    record = week.build(refit=True)
    assert ways(record) == [("refit", True), ("timing cache", False)]
    assert "relative_error" in record["attempts"][0]["refused"]
    assert record["way"] == "timing cache"
    assert week.answers_as_trained()
    assert any("building it instead" in line for line in week.said)


def test_a_refit_that_is_slower_is_followed_by_a_build(week):
    week.build(refit=True)
    week.train(2)
    # It takes twice as long as the engine that it was made from, as no real one should.
    week.gpu.refits = [SLOW]
    record = week.build(refit=True)
    assert ways(record) == [("refit", True), ("timing cache", False)]
    assert "% more than the" in record["attempts"][0]["refused"]
    assert week.answers_as_trained()


def test_a_refit_that_cannot_be_compared_is_not_taken(week, monkeypatch):
    from slipway.runtimes import tensorrt

    def broken(*_):
        raise RuntimeError("an illegal memory access was encountered")

    week.build(refit=True)
    week.train(2)
    monkeypatch.setattr(tensorrt, "trial", broken)
    record = week.build(refit=True)
    assert ways(record) == [("refit", True), ("timing cache", False)]
    assert "could not be proven" in record["attempts"][0]["refused"]
    assert "illegal memory access" in record["attempts"][1]["not_judged_reason"]


def test_a_refit_that_tensorrt_refuses_is_followed_by_a_build(week, monkeypatch):
    week.build(refit=True)
    week.train(2)
    monkeypatch.setattr(sys.modules["tensorrt"].Refitter, "refit_cuda_engine", lambda self: False)
    record = week.build(refit=True)
    assert ways(record) == [("refit", True), ("timing cache", False)]
    assert "did not take the new weights" in record["attempts"][0]["refused"]
    assert week.answers_as_trained()


def test_a_refit_a_build_and_a_cold_build_one_after_the_other(week):
    week.build(refit=True)
    week.train(2)
    week.gpu.forgets = {"gain"}
    record = week.build(refit=True, builds=[SLOW, FAST])
    assert ways(record) == [("refit", True), ("timing cache", True), ("cold", False)]
    assert week.answers_as_trained()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"classes": 7}, "of another network"), ({"scale": 0.25}, "of another network")],
    ids=["another head", "quantised now"],
)
def test_another_network_is_built_and_compared_with_nothing(week, change, reason):
    week.build(refit=True)
    week.train(1, **{"classes": 5, **change})
    week.gpu.builds = []
    record = week.build(refit=True, builds=[])
    assert len(record["attempts"]) == 1
    assert reason in record["not_refitted_reason"]
    assert reason in record["attempts"][0]["not_judged_reason"]


def test_int8_with_other_scales_is_built_with_the_timing_cache_and_compared(week):
    int8 = {"precision": "int8", "refit": True}
    week.train(1, scale=0.5)
    week.build(**int8)
    week.train(2, scale=0.25)
    record = week.build(**int8)
    assert ways(record) == [("timing cache", False)]
    assert "such as the scales of INT8" in record["not_refitted_reason"]
    assert record["attempts"][0]["speed_ratio"]


@pytest.mark.parametrize("missing", ["reference", "limits"])
def test_without_proof_nothing_is_refitted(week, missing):
    week.build(refit=True)
    week.train(2)
    record = week.build(refit=True, **{missing: None})
    assert ways(record) == [("timing cache", False)]
    assert "to judge by" in record["not_refitted_reason"]


def test_an_engine_that_takes_no_new_weights_is_not_refitted(week):
    profiles = json.dumps(
        BUILD_OPTIONS | {"refit": True, "profiles": [{"min": 1, "opt": 1, "max": 1}, *BUILD_OPTIONS["profiles"]]}
    )
    week.build(builder=profiles)
    assert "it cannot be refitted with new weights" in week.said[-1]
    week.train(2)
    record = week.build(builder=profiles)
    assert ways(record) == [("timing cache", False)]
    assert "8.5 refits engines of one" in record["not_refitted_reason"]
