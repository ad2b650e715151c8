"""A retrained model without `tensorrt.refit`: built with the timing cache, compared, and built without it if slower."""

import json
from dataclasses import replace

import pytest
from helpers.gpu_stand_in import library
from helpers.models.weeks import FAST, SLOW, ways

from slipway.contract.reference_outputs import ReferenceOutputs


def test_new_weights_are_built_with_the_timing_cache_and_compared(week):
    first = week.build()["first_build"]
    week.train(2)
    record = week.build()
    assert ways(record) == [("timing cache", False)]
    (attempt,) = record["attempts"]
    assert attempt["accuracy"]["samples"] == 9
    assert attempt["accuracy"]["relative_error"] < 1e-5
    assert [found["batch"] for found in attempt["speed"]] == [1, 4]
    assert attempt["speed_ratio"] == max(found["ratio"] for found in attempt["speed"])
    assert record["first_build"] == first
    assert record["spent_seconds"] == pytest.approx(attempt["seconds"] + attempt["gate_seconds"], abs=2e-3)
    assert record["saved_seconds"] == pytest.approx(first["seconds"] - record["spent_seconds"], abs=2e-3)
    assert record["not_refitted_reason"] == "`tensorrt.refit` is off"
    assert week.answers_as_trained()


def test_a_first_build_with_kernels_that_another_precision_measured_is_not_called_cold(week):
    week.build()
    week.train(2, scale=0.5)
    first = week.build(precision="int8")
    assert first["way"] == first["first_build"]["way"] == "timing cache in part"
    assert "%" not in week.said[-1]
    week.train(3, scale=0.5)
    assert week.build(precision="int8")["first_build"] == first["first_build"]
    assert f"% of the first build's {first['first_build']['seconds']:.1f} s)" in week.said[-1]


def test_a_build_that_is_slower_is_built_without_the_timing_cache(week):
    week.build()
    week.train(2)
    record = week.build(builds=[SLOW, FAST])
    assert ways(record) == [("timing cache", True), ("cold", False)]
    assert "more than the" in record["attempts"][0]["refused"]
    assert record["attempts"][1]["speed_ratio"] < 2
    assert record["timing_cache"]["bytes_before"] == 0
    assert record["first_build"] == {"way": "cold", "seconds": record["attempts"][1]["seconds"]}
    assert record["saved_seconds"] < 0
    assert any(line.startswith("  timing cache: refused after") for line in week.said)


def test_a_cold_build_is_taken_whatever_its_speed(week):
    week.build()
    week.train(2)
    record = week.build(builds=[SLOW, SLOW])
    assert ways(record) == [("timing cache", True), ("cold", True)]
    assert record["way"] == "cold"
    assert json.loads(week.engine.read_bytes())["milliseconds"] == SLOW["milliseconds"]


def test_a_build_without_a_timing_cache_is_not_repeated(week):
    week.build(timing_cache=None)
    week.train(2)
    record = week.build(timing_cache=None, builds=[SLOW, "no second build"])
    assert ways(record) == [("cold", True)]


def test_without_reference_logits_speed_alone_is_judged(week):
    week.build()
    week.train(2)
    (attempt,) = week.build(reference=None)["attempts"]
    assert attempt["accuracy"] is None
    assert "no reference outputs" in attempt["not_judged_reason"]
    assert attempt["speed_ratio"]


def test_the_reference_outputs_of_one_picture_are_one_sample(week):
    week.build()
    week.train(2)
    reference = ReferenceOutputs.read(week.reference)
    replace(reference, samples=reference.samples[:1]).write(week.reference)
    assert week.build()["attempts"][0]["accuracy"]["samples"] == 1


def test_an_engine_that_cannot_be_compared_is_built_and_it_says_why(week):
    week.build(builds=[{"vice": "refuses"}])
    week.train(2)
    (attempt,) = week.build()["attempts"]
    assert "could not enqueue" in attempt["not_judged_reason"]
    assert attempt["refused"] is None


def test_an_engine_is_not_lost_for_what_the_inspector_says_of_it(week, monkeypatch):
    noise = '{"Name": "conv", "LayerType": "Convolution", \x1e'
    monkeypatch.setattr(library.Inspector, "get_layer_information", lambda *_: noise)
    record = week.build()
    assert record["unread_layers"] == [noise]
    assert record["layers"] == {"unknown": 1}
    assert any("nothing proves that it computes in fp16" in line for line in week.said)
    assert week.answers_as_trained()
