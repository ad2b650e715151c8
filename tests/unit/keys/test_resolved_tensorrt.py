"""What TensorRT's targets become, declared or here."""

import json
import shlex

import pytest
from helpers.artifacts.configured import WITH_BF16, job_keys, refusal, resolved, tensorrt_target

import build_engine
from slipway.core.errors import SlipwayError
from slipway.keys.job_key import JobKey
from slipway.keys.validation import require_batches
from slipway.runtimes import RUNTIMES

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NEEDED_TO_BUILD = shlex.split(
    "--runtime tensorrt --runtime-version 1 --precision fp16 --hardware h "
    "--onnx o --onnx-record r --engine e --record r"
)


def test_a_declared_gpu_target_plans_on_a_machine_without_one():
    found = job_keys({"h100": tensorrt_target()})
    assert found.build_engine("h100", "fp16")["runtime_version"] == "10.13.3.9"
    assert found.resolved.runs_on_gpu("h100")
    assert found.export_onnx("m")["opset"] == RUNTIMES["tensorrt"].newest_opset


def test_an_undeclared_gpu_target_says_what_to_declare(monkeypatch):
    monkeypatch.setattr("slipway.core.hardware.gpu_identity", lambda: None)
    message = refusal(h100={"runtime": "tensorrt"})
    assert "`targets.h100.hardware` is auto, but no GPU is here" in message
    assert "compute capability 8.9" in message


def test_gates_are_options_of_tensorrts_builds_alone():
    found = job_keys({"h100": tensorrt_target(max_slowdown=0.1), "cpu": {"hardware": WITH_BF16}})
    gates = str(JobKey(found.gates("m", "h100", "fp16")))
    options = vars(build_engine.parse_arguments(NEEDED_TO_BUILD + shlex.split(gates)))
    assert options["max_slowdown"] == 0.1
    assert json.loads(options["limits"]) == found.resolved.config["accuracy"]["limits"]["fp16"]
    assert found.gates("m", "cpu", "fp32") == {}


def test_a_targets_own_settings_win_over_the_common_ones():
    found = resolved({"h100": tensorrt_target(workspace_mb=512)}, tensorrt={"workspace_mb": 1024, "tf32": True})
    assert (found.tensorrt("h100")["workspace_mb"], found.tensorrt("h100")["tf32"]) == (512, True)


def test_tensorrt_8_in_a_fleet_lowers_the_opset_for_all():
    old = tensorrt_target(version="8.5.3.1")
    assert job_keys({"h100": old, "cpu": {"hardware": WITH_BF16}}).export_onnx("m")["opset"] == 17


def test_int8_without_photographs_is_refused_before_anything_is_built():
    message = refusal(h100=tensorrt_target() | {"precisions": ["int8"]})
    assert "needs photographs to take its scales from" in message
    assert "`calibration.images`" in message


def test_tensorrt_on_a_cpu_is_refused():
    assert "needs a GPU" in refusal(cpu={"runtime": "tensorrt", "hardware": WITH_BF16, "precisions": ["fp32"]})


def test_rtx_builds_for_the_declared_generation():
    found = job_keys({"rtx": {"runtime": "tensorrt_rtx", "hardware": "NVIDIA L4 (compute capability 8.9)"}})
    assert json.loads(found.build_engine("rtx", "fp16")["builder"])["compute_capability"] == "8.9"
    assert found.resolved.timing_cache("rtx") is None


def test_preflight_tries_what_every_target_needs(photographs):
    found = resolved({"h100": tensorrt_target() | {"precisions": ["bf16"]}}, calibration={"images": str(photographs)})
    assert found.preflight_variants("m") == ["fp32", "fp16", "int8-fp16", "bf16"]
    assert resolved().preflight_variants("m") == ["fp32", "fp16"]
    cpu = {"runtime": "onnxruntime", "hardware": "A CPU [avx2 avx512_vnni] x8", "precisions": ["int8"]}
    found = resolved({"cpu": cpu}, calibration={"images": str(photographs)})
    assert found.variants("m") == ["fp32", "int8-onnxruntime"]
    assert found.preflight_variants("m") == ["fp32", "fp16", "int8-fp16"]


def test_a_profile_may_be_for_some_precisions_alone():
    profiles = [{"min": 1, "opt": 1, "max": 1, "precisions": ["fp16"]}, {"min": 1, "opt": 8, "max": 8}]
    found = job_keys({"h100": tensorrt_target(profiles=profiles) | {"precisions": ["fp32", "fp16"]}})
    listed = {name: json.loads(found.build_engine("h100", name)["builder"])["profiles"] for name in ("fp32", "fp16")}
    assert [len(profiles) for profiles in listed.values()] == [1, 2]
    assert listed["fp16"][0] == {"min": 1, "opt": 1, "max": 1}


def test_an_engine_without_any_profile_is_refused():
    profiles = [{"min": 1, "opt": 1, "max": 1, "precisions": ["int8"]}]
    assert "no profile for the fp16 engine of the target h100" in refusal(h100=tensorrt_target(profiles=profiles))


@pytest.mark.parametrize(
    ("profiles", "asked", "words"),
    [
        ([{"min": 2, "opt": 8, "max": 32}], {}, "the sample photograph is a batch of 1"),
        ([{"min": 1, "opt": 1, "max": 8}], {"benchmark": {"batch_sizes": [1, 16]}}, "a batch of 16"),
        ([{"min": 1, "opt": 8, "max": 15}], {"load_test": {"max_batch_sizes": [8, 16]}}, "a batch of 16"),
        (
            [{"min": 1, "opt": 1, "max": 1}, {"min": 8, "opt": 8, "max": 16}],
            {"load_test": {"max_batch_sizes": [16]}},
            "a batch of 2, but the profiles of the fp16 engine for h100 take batches of 1 to 1 and 8 to 16",
        ),
    ],
)
def test_batches_that_an_engine_does_not_take_are_told_before_it_is_built(profiles, asked, words):
    found = resolved({"h100": tensorrt_target(profiles=profiles)}, **asked)
    with pytest.raises(SlipwayError, match=words):
        require_batches(found)


def test_batches_that_every_engine_takes_are_accepted():
    profiles = [{"min": 1, "opt": 1, "max": 3}, {"min": 4, "opt": 8, "max": 8, "precisions": ["fp16"]}]
    require_batches(resolved({"h100": tensorrt_target(profiles=profiles), "cpu": {"hardware": WITH_BF16}}))
