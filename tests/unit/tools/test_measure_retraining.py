import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch
import yaml
from helpers.gpu_stand_in import write_engine, write_interpreter
from helpers.workplace import REPOSITORY

import measure_retraining
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.validation import resolve

CONFIGURATION = {
    "models": {"tiny": {"architecture": "squeezenet1_1", "preprocess": {"resize": 72, "crop": 64}}},
    "targets": {
        "h100": {
            "runtime": "tensorrt",
            "precisions": ["fp16", "int8"],
            "hardware": "NVIDIA H100 80GB HBM3 (compute capability 9.0)",
        }
    },
    "tensorrt": {"workspace_mb": 64, "version": "8.5.3.1", "cuda": "any"},
}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return a function that measures with a workflow that builds nothing, and what that was asked for."""
    asked = []

    def workflow(folder, records):
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        weights = torch.load(folder / config["models"]["tiny"]["weights"], weights_only=True)
        asked.append((config, records, weights))
        spent = {1: 50.0, 2: 12.5, 3: 30.0, 4: 5.0}[len(asked)]
        (record,) = records
        way = ["cold", "timing cache", "timing cache in part", "refit"][len(asked) - 1]
        write_json(folder / record, {"spent_seconds": spent, "way": way, "gpu": {}, "versions": {}})
        (folder / record.replace(".engine.json", ".trt")).write_text(way, encoding="utf-8")
        return 60.0

    monkeypatch.setattr(measure_retraining, "make_records", workflow)
    monkeypatch.setattr(measure_retraining, "compare", lambda retraining, python: [{"batch": 1, "ratio": 1.1}])
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIGURATION), encoding="utf-8")

    def measure(*options):
        given = ["--configuration", tmp_path / "tiny.yaml", "--workplace", tmp_path / "bench", *options]
        measure_retraining.main(measure_retraining.parse_arguments(list(map(str, given))))
        return read_json(tmp_path / "tiny.retraining.json")

    return measure, asked


def test_four_weeks_side_by_side(measured):
    measure, asked = measured
    record = measure("--tensorrt-python", "/opt/python")
    assert record["ways"] == {
        "cold": "cold",
        "timing_cache": "timing cache",
        "refittable": "timing cache in part",
        "refit": "refit",
    }
    assert record["of_cold"] == {"cold": 1, "timing_cache": 0.25, "refittable": 0.6, "refit": 0.1}
    assert record["refittable_engine_to_plain"] == [{"batch": 1, "ratio": 1.1}]
    assert record["weeks"]["refit"]["spent_seconds"] == 5
    assert [config["tensorrt"]["refit"] for config, *_ in asked] == [False, False, True, True]
    assert {path for _, records, _ in asked for path in records} == {"results/tiny/h100/tiny.fp16.engine.json"}


def test_each_week_has_other_weights_of_the_same_model(measured):
    measure, asked = measured
    measure()
    weeks = [weights for *_, weights in asked]
    for name, values in weeks[0].items():
        assert all(other[name].shape == values.shape for other in weeks)
        assert all(torch.isfinite(other[name]).all() for other in weeks)
        assert not torch.equal(values, weeks[1][name]), name
        assert torch.linalg.vector_norm(values - weeks[1][name]) < 0.1 * torch.linalg.vector_norm(values) + 0.1, name


def test_the_weights_may_be_given(measured, tmp_path):
    measure, asked = measured
    state = measure_retraining.first_weights(CONFIGURATION["models"]["tiny"], None)
    torch.save({name: values + 1 for name, values in state.items()}, tmp_path / "mine.pth")
    assert measure("--weights", tmp_path / "mine.pth")["weights"] == "a checkpoint"
    assert all((weights["features.0.bias"] > 0.5).all() for *_, weights in asked)


def test_the_command_that_a_record_was_made_with_is_one():
    folder = REPOSITORY / "docs" / "measurements" / "h100"
    command = re.search("make measure-retraining .*", (folder / "resnet50.yaml").read_text(encoding="utf-8"))[0]
    # What a `make` that runs the tests tells those below it would change what this one prints.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    printed = subprocess.check_output(["sh", "-c", f"{command} -n"], cwd=REPOSITORY, env=environment, text=True)
    words = shlex.split(printed.splitlines()[-1])
    given = measure_retraining.parse_arguments(words[words.index("scripts/tools/measure_retraining.py") + 1 :])
    assert given.profiles == read_json(folder / "resnet50.retraining.json")["profiles"]


def test_profiles_that_are_no_json_are_told_before_anything_runs(measured, capsys):
    measure, asked = measured
    with pytest.raises(SystemExit):
        measure("--profiles", "[{min:1,opt:128,max:256}]")
    assert "--profiles: invalid profiles value" in capsys.readouterr().err
    assert not asked


def test_whole_numbers_stay_and_variances_stay_positive():
    random = torch.Generator().manual_seed(0)
    count = torch.tensor(7)
    assert measure_retraining.changed("bn.num_batches_tracked", count, random) is count
    variances = torch.full((10_000,), 1e-8)
    assert (measure_retraining.changed("bn.running_var", variances, random) > 0).all()


@pytest.mark.parametrize("profiles", [None, '[{"min": 1, "opt": 64, "max": 64}]'])
def test_what_is_configured_can_be_planned(measured, monkeypatch, profiles):
    measure, asked = measured
    record = measure(*(["--profiles", profiles] if profiles else []))
    config, _, _ = asked[3]
    monkeypatch.setattr("slipway.keys.validation.require_files", lambda *_: None)
    resolved = resolve(complete(config))
    assert resolved.precisions("h100") == ["fp16"]
    assert resolved.profiles("h100", "fp16") == json.loads(profiles or '[{"min": 1, "opt": 8, "max": 32}]')
    assert record.get("profiles") == (json.loads(profiles) if profiles else None)


@pytest.mark.parametrize(
    ("runtimes", "reason"),
    [(["openvino"], "must say `runtime: tensorrt` of its target"), (["tensorrt"] * 2, "and one target"), ([], "one")],
)
def test_a_configuration_of_another_runtime_or_of_several_targets_is_refused(measured, tmp_path, runtimes, reason):
    measure, _ = measured
    targets = {f"t{number}": {"runtime": name, "precisions": ["fp16"]} for number, name in enumerate(runtimes)}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**CONFIGURATION, "targets": targets}), encoding="utf-8")
    with pytest.raises(SlipwayError, match=reason):
        measure()


def test_the_two_kinds_of_engine_run_in_turn_under_tensorrts_interpreter(tmp_path):
    retraining = measure_retraining.Retraining(tmp_path, "tiny", "h100", "fp16")
    for name, milliseconds in (("timing_cache", 1), ("refittable", 4)):
        write_engine(tmp_path / f"{name}.trt", milliseconds=milliseconds)
    found = measure_retraining.compare(retraining, write_interpreter(tmp_path, sys.executable, "cuda-bindings"))
    assert [each["batch"] for each in found] == [1, 4]
    assert all(each["ratio"] > 1.5 for each in found)
