"""Which way the build program takes to an engine, over stand-ins for TensorRT and the GPU, and over OpenVINO itself."""

import json

import pytest
from helpers.gpu_stand_in import CLASSES, CROP
from helpers.gpu_stand_in.networks import BUILD_OPTIONS
from helpers.models.weeks import ways

import build_engine
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu_identity

# The first engine, and one that is kept


def test_the_first_build_is_cold_and_compared_with_nothing(week):
    record = week.build()
    assert ways(record) == [("cold", False)]
    assert record["attempts"][0]["not_judged_reason"] == "no whole engine was there before"
    assert record["first_build"] == {"way": "cold", "seconds": record["spent_seconds"]}
    assert record["attempts"][0]["seconds"] == record["spent_seconds"]
    assert (record["saved_seconds"], record["share_of_first_build"]) == (0, 1)
    assert record["files"] == {"m.fp16.trt": sha256(week.engine)}
    assert week.answers_as_trained()


def test_nothing_changed_so_the_engine_is_kept_and_newer_than_what_it_is_made_of(week):
    before = week.build()
    times = week.engine.stat().st_mtime_ns, week.record.stat().st_mtime_ns
    assert week.build(builds=["no build"]) == before
    assert week.engine.stat().st_mtime_ns > times[0]
    assert week.record.stat().st_mtime_ns > times[1]
    assert week.said[-1].startswith("  kept:")


def test_a_kept_engine_is_recorded_with_where_its_inputs_come_from_now(week):
    before = week.build()
    write_json(f"{week.onnx}.json", read_json(f"{week.onnx}.json") | {"origin": "elsewhere"})
    assert week.build(builds=["no build"]) == before | {"origin": "elsewhere"}


@pytest.mark.parametrize("change", [{"cuda": "another"}, {"builder": json.dumps(BUILD_OPTIONS | {"tf32": True})}])
def test_other_settings_are_another_engine(week, change):
    week.build()
    (attempt,) = week.build(**change)["attempts"]
    assert "built with other settings" in attempt["not_judged_reason"]


def test_other_code_builds_it_anew(week, monkeypatch):
    week.build(refit=True)
    monkeypatch.setattr(build_engine, "digest", lambda code: "other code")
    record = week.build(refit=True)
    assert ways(record) == [("timing cache", False)]
    assert record["not_refitted_reason"] == "the code that builds engines changed"
    assert record["code_sha256"] == "other code"


@pytest.mark.parametrize("damage", ["truncated", "record truncated", "record lost", "lost"])
def test_what_is_not_whole_is_no_previous_engine(week, damage):
    week.build(refit=True)
    damaged = week.record if damage.startswith("record") else week.engine
    if damage.endswith("lost"):
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-20])
    week.train(2)
    record = week.build(refit=True)
    assert ways(record) == [("timing cache", False)]
    assert record["not_refitted_reason"] == "no whole engine was there before"
    assert record["first_build"] is None
    assert week.answers_as_trained()


# What goes wrong


def test_a_build_that_fails_leaves_the_engine_that_is_there(week):
    week.build(refit=True)
    before = week.engine.read_bytes(), week.record.read_bytes()
    week.train(2)
    week.gpu.forgets = {"gain"}
    with pytest.raises(SlipwayError, match="compute layers run in"):
        week.build(refit=True, builds=[{"type": "Float"}])
    assert (week.engine.read_bytes(), week.record.read_bytes()) == before


@pytest.mark.parametrize(
    ("limits", "words"), [("[", "not a JSON object"), ("{}", "lacks max_relative_error, min_cosine")]
)
def test_limits_that_are_none_are_refused(week, limits, words):
    with pytest.raises(SlipwayError, match=words):
        week.build(limits=limits)


# A CPU's runtime goes the same way, with nothing to refit or to compare


def test_openvino_keeps_what_is_current_and_builds_the_rest(week, tmp_path):
    from importlib import metadata

    cpu = {
        "runtime": "openvino",
        "runtime_version": metadata.version("openvino"),
        "precision": "fp32",
        "hardware": cpu_identity(),
        **dict.fromkeys(("cuda", "timing_cache", "reference", "limits")),
        "builder": "{}",
        "engine": tmp_path / "m.fp32.openvino.xml",
        "record": tmp_path / "m.fp32.engine.json",
    }
    week.record = cpu["record"]
    record = week.build(**cpu)
    assert ways(record) == [("cold", False)]
    assert "only TensorRT's engines" in record["attempts"][0]["not_judged_reason"]
    assert list(record["files"]) == ["m.fp32.openvino.xml", "m.fp32.openvino.bin"]
    assert record["tensors"] == {
        "inputs": [{"name": "input", "dtype": "float32", "shape": [-1, 3, CROP, CROP]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [-1, CLASSES]}],
    }
    week.build(**cpu)
    assert week.said[-1].startswith("  kept:")
    week.train(2)
    assert week.build(**cpu)["files"] != record["files"]
