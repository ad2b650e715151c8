"""A precision that the hardware lacks, and files that changed after they were recorded, stop the programs in time."""

import hashlib
import json
import os

import pytest
from helpers.workplace import ACCURACY, ENGINE_RECORD, ONNX, REFERENCE, WEIGHTS

from slipway.core.hardware import BF16_INSTRUCTION_SETS, cpu, cpu_identity

pytestmark = pytest.mark.slow

BENCHMARK = "results/tiny/cpu/tiny.benchmark.json"
ENGINE_WEIGHTS = "results/tiny/cpu/tiny.fp32.openvino.bin"
HAS_BF16 = bool(BF16_INSTRUCTION_SETS & set(cpu()["instruction_sets"]))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def change_one_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.skipif(HAS_BF16, reason="this CPU has bfloat16 instructions")
def test_bf16_on_a_cpu_without_it_is_refused(after_good_run):
    before = after_good_run.artifacts()
    version = json.loads(after_good_run.path(ENGINE_RECORD).read_text())["key"]["runtime_version"]

    after_good_run.program_here(
        "build_engine",
        *("--runtime", "openvino", "--runtime-version", version, "--precision", "bf16", "--hardware", cpu_identity()),
        *("--onnx", ONNX, "--onnx-record", f"{ONNX}.json"),
        *("--engine", "results/tiny/cpu/tiny.bf16.openvino.xml"),
        *("--record", "results/tiny/cpu/tiny.bf16.engine.json"),
    ).refused("the engine should compute in bf16, but its compute layers run in {'fp32':", "no kernels of that")

    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()


@pytest.mark.skipif(HAS_BF16, reason="this CPU has bfloat16 instructions")
def test_bf16_in_the_configuration_of_a_cpu_without_it_is_refused_before_anything_runs(after_good_run):
    before = after_good_run.artifacts()
    after_good_run.configure("targets.cpu.precisions", ["fp32", "bf16"])

    outcome = after_good_run.snakemake(ENGINE_RECORD)

    outcome.refused("`targets.cpu.precisions` has bf16", "no bfloat16 instructions", "take fp32, or auto")
    assert after_good_run.artifacts() == before


def build_engine(workplace):
    """Build the engine as the workflow does, without the workflow."""
    key = json.loads(workplace.path(ENGINE_RECORD).read_text())["key"]
    return workplace.program_here(
        "build_engine",
        *("--runtime", "openvino", "--runtime-version", key["runtime_version"], "--precision", "fp32"),
        *("--hardware", cpu_identity(), "--onnx", ONNX, "--onnx-record", f"{ONNX}.json"),
        *("--engine", "results/tiny/cpu/tiny.fp32.openvino.xml", "--record", ENGINE_RECORD),
    )


@pytest.mark.long
def test_onnx_file_that_is_not_of_its_record_is_refused_by_the_program_and_repaired_by_the_workflow(after_good_run):
    before, onnx = after_good_run.artifacts(), after_good_run.path(ONNX)
    whole = onnx.read_bytes()
    for damage in (truncate, change_one_byte):
        onnx.write_bytes(whole)
        damage(onnx)
        damaged = after_good_run.artifacts()
        build_engine(after_good_run).refused("results/tiny/tiny.onnx is not the file of its record", "run again")
        assert after_good_run.artifacts() == damaged
        assert not after_good_run.partial_files()

    after_good_run.snakemake(ENGINE_RECORD).succeeded()
    key = json.loads(after_good_run.path(ENGINE_RECORD).read_text())["key"]
    assert key["onnx_sha256"] == hashlib.sha256(onnx.read_bytes()).hexdigest()
    assert after_good_run.artifacts()[WEIGHTS] == before[WEIGHTS]


def test_truncated_engine_is_refused_by_the_accuracy_check_and_repaired_by_the_workflow(after_good_run):
    before = after_good_run.artifacts()
    truncate(after_good_run.path(ENGINE_WEIGHTS))

    after_good_run.program_here(
        "check_accuracy",
        *("--reference", REFERENCE, "--engine-record", ENGINE_RECORD, "--output", ACCURACY),
        *("--labels", "results/tiny/labels.txt", "--min-cosine", 0.9, "--max-relative-error", 0.1),
        *("--min-top1-agreement", 0.9, "--max-top1-drop", 0.1),
    ).refused(f"{ENGINE_WEIGHTS} is not the file that was built", "remove it and run snakemake")
    assert not after_good_run.path(ACCURACY).exists()

    after_good_run.snakemake(ACCURACY, BENCHMARK).succeeded()
    assert after_good_run.artifacts()[ENGINE_WEIGHTS] == before[ENGINE_WEIGHTS]
    assert after_good_run.path(ACCURACY).is_file()
    assert after_good_run.path(BENCHMARK).is_file()


@pytest.mark.long
def test_tightened_limits_stop_the_build_with_the_figures_again_and_again(after_good_run):
    """The record of the looser limits stays on the disk; it must not pass for one of the tighter limits."""
    after_good_run.snakemake(ACCURACY).succeeded()
    before = after_good_run.artifacts()
    after_good_run.configure("accuracy.limits.fp32", {"max_relative_error": 0})

    for _ in range(2):
        after_good_run.snakemake("results/tiny/cpu/selection.json").refused(
            "the fp32 engine is not accurate enough: relative_error",
            "is above the limit 0.",
            "Leave this precision out of `targets.*.precisions`",
        )
        assert after_good_run.artifacts() == before, "something was made downstream of a failed accuracy check"
        assert not after_good_run.partial_files()

    after_good_run.configure("accuracy.limits", {})
    after_good_run.snakemake(ACCURACY).succeeded()
    record = json.loads(after_good_run.path(ACCURACY).read_text())
    assert record["sample"]["relative_error"] <= record["limits"]["max_relative_error"]
