"""Which way the build program takes to an engine, over stand-ins for TensorRT and the GPU, and over OpenVINO itself."""

import json
import sys

import numpy as np
import pytest
from stand_in import CROP, Gpu, stand_ins
from stand_in.networks import write_network

import build_engine
from slipway import engine_ways
from slipway.artifacts import read_json, sha256, write_json
from slipway.errors import SlipwayError
from slipway.hardware import cpu_identity
from slipway.onnx_files import described

LIMITS = {"min_cosine": 0.999, "max_relative_error": 0.01, "min_top1_agreement": 0.98, "max_top1_drop": 0.005}
BUILDER = {
    "profiles": [{"min": 1, "opt": 4, "max": 8}],
    "workspace_mb": 64,
    "optimization_level": 3,
    "tf32": False,
    "tactic_sources": None,
    "compatibility": "none",
}
SLOW, FAST = {"milliseconds": 8}, {"milliseconds": 2}


class Week:
    """A folder in which a model is trained again and again, and its engine brought up to date."""

    def __init__(self, folder, gpu):
        self.folder, self.gpu = folder, gpu
        self.onnx, self.golden = folder / "m.onnx", folder / "golden.npz"
        self.engine, self.record = folder / "m.fp16.trt", folder / "m.fp16.engine.json"
        self.said = []

    def train(self, seed, **network):
        """Write the ONNX file of a training, its record, and PyTorch's answers."""
        answer = write_network(self.onnx, seed, **network)
        about = {"origin": "checkpoint", "weights_sha256": f"training {seed}", "input_dtype": "float32"}
        write_json(f"{self.onnx}.json", {**about, "fp32_bytes": 1000, **described(self.onnx)})
        random = np.random.default_rng(1)
        images, varied = (random.standard_normal((count, 3, CROP, CROP), dtype=np.float32) for count in (1, 8))
        golden = {"logits": answer(images), "variations": varied, "variation_logits": answer(varied)}
        np.savez(self.golden, input=images, **golden)

    def build(self, refit=False, builds=(FAST, FAST), **options):
        """Bring the engine up to date; return its record. The next builds give engines that take so long."""
        self.gpu.builds[:] = list(builds)
        given = {
            "runtime": "tensorrt",
            "runtime_version": "8.5.3.1",
            "precision": "fp16",
            "hardware": "Stand-in GPU (compute capability 9.0)",
            "cuda": "any",
            "builder": json.dumps(BUILDER | {"refit": refit}),
            "timing_cache": self.folder / "timing" / "h100.cache",
            "onnx": self.onnx,
            "onnx_record": f"{self.onnx}.json",
            "golden": self.golden,
            "limits": json.dumps(LIMITS),
            "max_slowdown": 1,
            "engine": self.engine,
            "record": self.record,
        } | options
        words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None]
        build_engine.main(build_engine.parse_arguments(words))
        return read_json(self.record)

    def answers_as_trained(self):
        """Say whether the engine that lies there answers as the last training."""
        from slipway.runtimes.tensorrt.runner import Engine

        golden = np.load(self.golden)
        logits = Engine(self.engine, "fp16").infer(golden["variations"])
        return np.allclose(logits, golden["variation_logits"], rtol=1e-3, atol=1e-3)


@pytest.fixture
def week(tmp_path, monkeypatch):
    gpu = Gpu()
    for name, module in stand_ins(gpu, "cuda-bindings").items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(build_engine, "runtime_version", lambda name: "8.5.3.1")
    for name, value in {"ROUNDS": 2, "SECONDS": 0.001, "MINIMUM": 5, "WARM_UP_SECONDS": 0.001}.items():
        monkeypatch.setattr(f"slipway.runtimes.tensorrt.comparing.{name}", value)
    week = Week(tmp_path, gpu)
    for module in (build_engine, engine_ways):
        monkeypatch.setattr(module, "progress", week.said.append)
    week.train(1)
    yield week
    assert not list(tmp_path.rglob("*.partial*")), "a partial file was left behind"
    sys.modules.pop("slipway.runtimes.tensorrt.with_cuda_bindings", None)


def ways(record):
    return [(attempt["way"], attempt["refused"] is not None) for attempt in record["attempts"]]


# The first engine, and one that is kept


def test_the_first_build_is_cold_and_compared_with_nothing(week):
    record = week.build()
    assert ways(record) == [("cold", False)]
    assert record["attempts"][0]["not_judged_because"] == "no whole engine was there before"
    assert record["cold_build_seconds"] == record["attempts"][0]["seconds"] == record["spent_seconds"]
    assert (record["saved_seconds"], record["share_of_cold_build"]) == (0, 1)
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


@pytest.mark.parametrize("change", [{"cuda": "another"}, {"builder": json.dumps(BUILDER | {"tf32": True})}])
def test_other_settings_are_another_engine(week, change):
    week.build()
    (attempt,) = week.build(**change)["attempts"]
    assert "built with other settings" in attempt["not_judged_because"]


def test_other_code_builds_it_anew(week, monkeypatch):
    week.build(refit=True)
    monkeypatch.setattr(build_engine, "digest", lambda code: "other code")
    record = week.build(refit=True)
    assert ways(record) == [("timing cache", False)]
    assert record["not_refitted_because"] == "the code that builds engines changed"
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
    assert record["not_refitted_because"] == "no whole engine was there before"
    assert record["cold_build_seconds"] is None
    assert week.answers_as_trained()


# Retrained, without refit


def test_new_weights_are_built_with_the_timing_cache_and_compared(week):
    cold = week.build()["cold_build_seconds"]
    week.train(2)
    record = week.build()
    assert ways(record) == [("timing cache", False)]
    (attempt,) = record["attempts"]
    assert attempt["accuracy"]["images"] == 9
    assert attempt["accuracy"]["relative_error"] < 1e-5
    assert [found["batch"] for found in attempt["speed"]] == [1, 4]
    assert attempt["speed_ratio"] == max(found["ratio"] for found in attempt["speed"])
    assert record["cold_build_seconds"] == cold
    assert record["spent_seconds"] == pytest.approx(attempt["seconds"] + attempt["gate_seconds"], abs=2e-3)
    assert record["saved_seconds"] == pytest.approx(cold - record["spent_seconds"], abs=2e-3)
    assert record["not_refitted_because"] == "`tensorrt.refit` is off"
    assert week.answers_as_trained()


def test_a_build_that_is_slower_is_built_without_the_timing_cache(week):
    week.build()
    week.train(2)
    record = week.build(builds=[SLOW, FAST])
    assert ways(record) == [("timing cache", True), ("cold", False)]
    assert "more than the" in record["attempts"][0]["refused"]
    assert record["attempts"][1]["speed_ratio"] < 2
    assert record["timing_cache"]["bytes_before"] == 0
    assert record["cold_build_seconds"] == record["attempts"][1]["seconds"]
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


def test_without_golden_logits_speed_alone_is_judged(week):
    week.build()
    week.train(2)
    (attempt,) = week.build(golden=None)["attempts"]
    assert attempt["accuracy"] is None
    assert "no golden logits" in attempt["not_judged_because"]
    assert attempt["speed_ratio"]


def test_golden_logits_without_variations_are_one_picture(week):
    week.build()
    week.train(2)
    golden = np.load(week.golden)
    np.savez(week.golden, input=golden["input"], logits=golden["logits"])
    assert week.build()["attempts"][0]["accuracy"]["images"] == 1


def test_an_engine_that_cannot_be_compared_is_built_and_it_says_why(week):
    week.build(builds=[{"vice": "refuses"}])
    week.train(2)
    (attempt,) = week.build()["attempts"]
    assert "could not enqueue" in attempt["not_judged_because"]
    assert attempt["refused"] is None


# Retrained, with refit


def test_only_weights_changed_so_the_engine_is_refitted(week):
    first = week.build(refit=True)
    assert first["not_refittable_because"] is None
    week.train(2)
    record = week.build(refit=True, builds=["no build"])
    assert ways(record) == [("refit", False)]
    assert record["way"] == "refit"
    assert record["key"] == first["key"] | {"onnx_sha256": sha256(week.onnx)}
    assert record["weights_sha256"] == "training 2"
    assert record["cold_build_seconds"] == first["cold_build_seconds"]
    assert record["builder"] == first["builder"]
    assert record["layers"] == first["layers"]
    assert week.answers_as_trained()
    assert week.said[-1].startswith("  refitted in ")


def test_and_the_week_after_again(week):
    cold = week.build(refit=True)["cold_build_seconds"]
    for seed in (2, 3):
        week.train(seed)
        record = week.build(refit=True, builds=["no build"])
        assert (record["way"], record["cold_build_seconds"]) == ("refit", cold)
        assert week.answers_as_trained()


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
    assert "illegal memory access" in record["attempts"][1]["not_judged_because"]


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
    assert reason in record["not_refitted_because"]
    assert reason in record["attempts"][0]["not_judged_because"]


def test_int8_with_other_scales_is_built_with_the_timing_cache_and_compared(week):
    int8 = {"precision": "int8", "refit": True}
    week.train(1, scale=0.5)
    week.build(**int8)
    week.train(2, scale=0.25)
    record = week.build(**int8)
    assert ways(record) == [("timing cache", False)]
    assert "such as the scales of INT8" in record["not_refitted_because"]
    assert record["attempts"][0]["speed_ratio"]


@pytest.mark.parametrize("missing", ["golden", "limits"])
def test_without_proof_nothing_is_refitted(week, missing):
    week.build(refit=True)
    week.train(2)
    record = week.build(refit=True, **{missing: None})
    assert ways(record) == [("timing cache", False)]
    assert "to prove the answers by" in record["not_refitted_because"]


def test_an_engine_that_takes_no_new_weights_is_not_refitted(week):
    profiles = json.dumps(BUILDER | {"refit": True, "profiles": [{"min": 1, "opt": 1, "max": 1}, *BUILDER["profiles"]]})
    week.build(builder=profiles)
    assert "it will not take new weights" in week.said[-1]
    week.train(2)
    record = week.build(builder=profiles)
    assert ways(record) == [("timing cache", False)]
    assert "8.5 refits engines of one" in record["not_refitted_because"]


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
        **dict.fromkeys(("cuda", "timing_cache", "golden", "limits")),
        "builder": "{}",
        "engine": tmp_path / "m.fp32.openvino.xml",
        "record": tmp_path / "m.fp32.engine.json",
    }
    week.record = cpu["record"]
    record = week.build(**cpu)
    assert ways(record) == [("cold", False)]
    assert "only TensorRT's engines" in record["attempts"][0]["not_judged_because"]
    assert list(record["files"]) == ["m.fp32.openvino.xml", "m.fp32.openvino.bin"]
    week.build(**cpu)
    assert week.said[-1].startswith("  kept:")
    week.train(2)
    assert week.build(**cpu)["files"] != record["files"]
