"""Each cause makes stale what depends on it and nothing else, and the plan says why: docs/staleness.md, as tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.made_clone import AFTER_REFERENCE, AFTER_WEIGHTS, NOTHING, RTX_ENGINES, draw, planned
from helpers.workplace import random_checkpoint

from slipway.core.artifacts import sha256

pytestmark = pytest.mark.slow


@pytest.fixture
def place(made, tmp_path):
    """Return a copy of the clone elsewhere, with all times kept."""
    return made.copied(tmp_path / "moved")


def test_what_changes_no_content_makes_nothing_stale(place):
    """The clone and its weights were moved, photographs touched, rules reformatted, comments and messages reworded."""
    os.utime(place.path("good.pth"))
    place.path("good.pth").rename(place.path("elsewhere.pth"))
    place.configure("models.tiny.weights", "elsewhere.pth")
    os.utime(place.path("pictures/0.png"))
    appended(place, "scripts/build_engine.py", "\n# A comment.\n")
    reworded(place, "scripts/build_engine.py", "it cannot be refitted with new weights", "it takes no new weights")
    reworded(place, "scripts/slipway/core/artifacts.py", "nothing was written to", "no content was written to")
    appended(place, "scripts/status.py", "\nEDITED = True\n")
    before = place.path("rules/evidence.smk").read_text(encoding="utf-8")
    snakefmt = Path(sys.executable).with_name("snakefmt")
    command = [snakefmt, "--line-length", "50", place.path("Snakefile"), *place.path("rules").glob("*.smk")]
    subprocess.run(command, check=True, capture_output=True)
    assert place.path("rules/evidence.smk").read_text(encoding="utf-8") != before
    jobs, said = planned(place)
    assert jobs == NOTHING, said


# The checkpoint


def test_new_weights_whose_file_is_older_than_the_results(place):
    random_checkpoint(place.path("good.pth"), seed=2)
    os.utime(place.path("good.pth"), (1, 1))
    jobs, said = planned(place)
    assert jobs == {"fetch_weights": 1, **AFTER_WEIGHTS}
    assert re.search(r"Reason: weights [0-9a-f]{8}\.\. -> [0-9a-f]{8}\.\.", said)


# The configuration and the user's photographs


def test_another_sample_photograph_rebuilds_no_engine(place):
    draw(place.path("mine.png"), 99)
    place.configure("image", "mine.png")
    jobs, said = planned(place)
    assert jobs == {"sample_inputs": 1, "make_contract": 1, **AFTER_REFERENCE}
    assert "Reason: sample photograph none -> " in said


def test_another_crop_reaches_everything_that_has_the_models_shape(place):
    place.configure("models.tiny.preprocess", {"resize": 72, "crop": 48})
    jobs, said = planned(place)
    assert jobs == {"sample_inputs": 1, **AFTER_WEIGHTS}
    assert "Reason: crop 64 -> 48" in said


@pytest.mark.parametrize("change", [("output", "tensor"), ("labels", "names.txt")], ids=["meaning", "label"])
def test_another_meaning_or_label_rebuilds_no_engine(place, change):
    place.path("names.txt").write_text("".join(f"name {index}\n" for index in range(1000)), encoding="utf-8")
    name, value = change
    place.configure(f"models.tiny.{name}", value)
    assert planned(place)[0] == {"make_contract": 1, **AFTER_REFERENCE}


def test_a_setting_of_the_benchmark_rebuilds_no_engine(place):
    place.configure("benchmark.batch_sizes", [1, 2])
    jobs, said = planned(place)
    assert jobs == {"benchmark": 1}
    assert "Reason: batch_sizes [1] -> [1, 2]" in said


def test_a_photograph_of_the_calibration_touches_int8_alone(place):
    draw(place.path("pictures/0.png"), 99)
    jobs, said = planned(place)
    assert jobs == {"quantize_onnx": 1, "build_tensorrt_rtx": 1}
    assert "Building the int8 engine" in said
    assert "Reason: calibration photographs " in said


def test_a_limit_measures_only_the_capacity_again(place):
    place.configure("load_test.p99_limit_ms", 900)
    stale = ("render_load_test", "measure_capacity", "choose_configuration", "write_repository")
    assert planned(place)[0] == dict.fromkeys(stale, 1)


def test_another_model_and_another_target_touch_nothing_that_is_there(place):
    place.config["models"]["other"] = place.config["models"]["tiny"] | {"input": "float32"}
    place.configure("targets.ort", {"runtime": "onnxruntime"})
    jobs, said = planned(place)
    assert jobs == NOTHING, said


# The toolchain and the hardware


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("tensorrt.version", "1.0.0.1", r"Reason: TensorRT for RTX [\d.]+ -> 1\.0\.0\.1$"),
        ("tensorrt.cuda", "cu12", r"Reason: CUDA cu13 -> cu12$"),
        ("tensorrt.profiles", [{"min": 1, "opt": 4, "max": 8}], r'Reason: profiles .*"opt": 8.* -> .*"opt": 4'),
        ("hardware", "NVIDIA L40S (compute capability 8.9)", r"Reason: hardware NVIDIA L4 .* -> NVIDIA L40S"),
        ("hardware", "NVIDIA A10 (compute capability 8.6)", r"Reason: compute_capability 8\.9 -> 8\.6; hardware"),
    ],
    ids=["TensorRT", "CUDA", "batch profile", "GPU", "compute capability"],
)
def test_what_a_targets_engines_are_exact_to_rebuilds_them_alone(place, setting, value, reason):
    place.configure(f"targets.l4.{setting}", value)
    jobs, said = planned(place)
    assert jobs == RTX_ENGINES
    assert len(re.findall(reason, said, re.MULTILINE)) == 4


def test_another_triton_release_with_the_same_tensorrt_measures_nothing(place):
    place.configure("triton.release", "25.10")
    jobs, said = planned(place)
    assert jobs == {"choose_configuration": 1, "render_load_test": 1, "write_repository": 1}
    assert "; Triton release 25.09 -> 25.10" in said


def test_an_engine_of_another_version_than_the_planned_is_never_built(place):
    place.configure("targets.l4.tensorrt.version", "1.0.0.1")
    before = place.artifacts()
    said = (
        place.snakemake("results/tiny/l4/tiny.fp32.engine.json").refused("planned for tensorrt_rtx 1.0.0.1, but").said
    )
    rule, error = said.splitlines()[-2:]
    assert rule == "build_tensorrt_rtx failed (logs/tiny/l4/build_tensorrt_rtx.fp32.log):"
    assert error.startswith("error: this job was planned for tensorrt_rtx 1.0.0.1, but")
    assert place.artifacts() == before


# The code


def appended(place, name, text):
    path = place.path(name)
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def reworded(place, name, before, after):
    text = place.path(name).read_text(encoding="utf-8")
    assert before in text
    place.path(name).write_text(text.replace(before, after), encoding="utf-8")


def test_an_edited_program_makes_what_it_made_again(place):
    appended(place, "scripts/benchmark.py", "\nEDITED = True\n")
    jobs, said = planned(place)
    assert jobs == {"benchmark": 1}
    assert "Reason: scripts/benchmark.py edited" in said


def test_a_runtimes_code_touches_its_own_engines_alone(place):
    appended(place, "scripts/slipway/runtimes/tensorrt/builder.py", "\nEDITED = True\n")
    jobs, said = planned(place)
    assert jobs == RTX_ENGINES
    assert "Reason: scripts/slipway/runtimes/tensorrt/builder.py edited" in said


@pytest.mark.long
def test_an_edit_that_exports_the_same_file_keeps_the_engine(place):
    appended(place, "scripts/export_onnx.py", "\nEDITED = True\n")
    engine = place.path("results/tiny/l4/tiny.fp32.rtx")
    before = sha256(engine)
    said = place.snakemake("results/tiny/l4/tiny.fp32.engine.json").succeeded().said
    assert "kept: the existing engine was built from the same ONNX file" in said
    assert sha256(engine) == before


def test_another_command_in_a_rule_makes_it_stale(place):
    rules = place.path("rules/evidence.smk")
    text = rules.read_text(encoding="utf-8")
    assert text.count(" --onnx {input.onnx:q} --engine-records ") == 1
    rules.write_text(
        text.replace(" --onnx {input.onnx:q} --engine", "  --onnx {input.onnx:q} --engine"), encoding="utf-8"
    )
    jobs, said = planned(place)
    assert jobs == {"benchmark": 1}
    assert "Reason: the command of rule benchmark edited" in said
