"""What measuring a GPU asks of its configurations; the measuring itself needs the GPU."""

import pytest
import yaml

from measure_gpu import (
    collect,
    configurations_of,
    configure,
    measure,
    parse_arguments,
    records_of,
    subject_of,
    weights_of,
)
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError

CONFIG = {"models": {"small": {}}, "targets": {"h100": {"runtime": "tensorrt", "precisions": ["fp16"]}}}


@pytest.fixture
def arguments(tmp_path):
    """Return a function that reads a command line about a folder with small.yaml and big.yaml."""
    for model in ("small", "big"):
        (tmp_path / f"{model}.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    common = ["--configurations", str(tmp_path), "--calibration", str(tmp_path), "--tensorrt-python", "/opt/python"]
    return lambda *given: parse_arguments([*common, *given])


def test_all_configurations_are_measured_or_those_that_are_named(arguments):
    assert [path.stem for path in configurations_of(arguments())] == ["big", "small"]
    assert [path.stem for path in configurations_of(arguments("--only", "small"))] == ["small"]


def test_a_configuration_that_is_not_there_is_told(arguments, tmp_path):
    with pytest.raises(SlipwayError, match=r"holds no <name>\.yaml of smal; correct"):
        configurations_of(arguments("--only", "small", "smal"))
    for path in tmp_path.glob("*.yaml"):
        path.unlink()
    with pytest.raises(SlipwayError, match=r"holds no <name>\.yaml; correct"):
        configurations_of(arguments())


def test_checkpoints_are_of_models_of_the_folder(arguments):
    assert weights_of(arguments("--weights", "small=a=b.pth")) == {"small": "a=b.pth"}
    assert weights_of(arguments("--only", "small", "--weights", "big=b.pth")) == {"big": "b.pth"}
    for wrong in ("smal=a.pth", "a.pth", "small="):
        with pytest.raises(SlipwayError, match=f"'{wrong}', but must be NAME=PATH, of big or small"):
            weights_of(arguments("--weights", wrong))


def test_the_configuration_needs_no_section_but_models_and_targets(arguments, tmp_path):
    assert configure(tmp_path / "bench", tmp_path / "small.yaml", "w.pth", arguments()) == CONFIG
    written = yaml.safe_load((tmp_path / "bench" / "config.yaml").read_text(encoding="utf-8"))
    assert written["tensorrt"] == {"python": "/opt/python"}
    assert written["models"]["small"]["weights"].endswith("/w.pth")


def test_paths_are_found_from_the_working_folder_too(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, written in (("trt/bin/python", f"{tmp_path}/trt/bin/python"), ("python3.10", "python3.10")):
        configure(tmp_path / "bench", tmp_path / "small.yaml", None, arguments("--tensorrt-python", given))
        here = yaml.safe_load((tmp_path / "bench" / "config.yaml").read_text(encoding="utf-8"))
        assert here["tensorrt"]["python"] == written


@pytest.mark.parametrize(
    "targets",
    [{}, {"a": {"precisions": "auto"}}, {"a": {}}, {"a": {"precisions": ["fp16"]}, "b": {"precisions": ["fp16"]}}],
)
def test_one_target_with_listed_precisions_is_needed(targets):
    with pytest.raises(SlipwayError, match=r"small\.yaml must have one model, and one target"):
        subject_of("small", CONFIG | {"targets": targets})


def test_a_file_may_have_another_name_than_its_model(tmp_path):
    write_json(tmp_path / "results" / "small" / "weights.json", {"origin": "rehearsal"})
    assert records_of("small.int8", CONFIG)["accuracy"] == ["results/small/h100/small.fp16.accuracy.json"]
    assert collect(tmp_path, "small.int8", CONFIG, [])["origin"] == "rehearsal"


def test_records_of_another_precision_are_left(tmp_path):
    folder = tmp_path / "results" / "small" / "h100"
    for precision in ("fp16", "int8"):
        for kind in ("engine", "accuracy"):
            write_json(folder / f"small.{precision}.{kind}.json", {"origin": "rehearsal"})
    write_json(tmp_path / "results" / "small" / "weights.json", {"origin": "rehearsal"})
    assert records_of("small", CONFIG) == {"accuracy": ["results/small/h100/small.fp16.accuracy.json"]}
    found = collect(tmp_path, "small", CONFIG, ["accuracy"])
    assert (list(found["engines"]), list(found["accuracy"])) == (["fp16"], ["fp16"])
    assert "incomplete" not in found


MEASURED = CONFIG | {"benchmark": {}, "load_test": {}}
ON_H100 = ["small.fp16.engine", "small.fp16.accuracy", "small.benchmark", "capacity", "selection"]
MADE = ["weights", *(f"h100/{name}" for name in ON_H100)]


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """Return a function that measures into tmp_path, where an error in `fates` ends the step of its turn."""
    for name in [*MADE, "h100/analysis/analysis"]:
        write_json(tmp_path / "results" / "small" / f"{name}.json", {"origin": "rehearsal", "samples_ms": []})

    def run(*fates, until="choice"):
        turns = iter(fates)

        def make_records(folder, records):
            if fate := next(turns):
                raise fate

        monkeypatch.setattr("measure_gpu.make_records", make_records)
        measure(tmp_path, "small", MEASURED, tmp_path, until)
        assert not list(turns), "a step was left out"

    return run


def test_a_step_that_fails_or_is_stopped_loses_no_other(steps, tmp_path):
    complete, incomplete = tmp_path / "small.json", tmp_path / "small.incomplete.json"
    with pytest.raises(KeyboardInterrupt):
        steps(None, None, KeyboardInterrupt())
    assert read_json(incomplete)["incomplete"] == ["load_test", "choice"]
    assert "benchmark" in read_json(incomplete)
    with pytest.raises(
        SlipwayError, match=r"benchmark: it is busy; .*small\.incomplete\.json has accuracy and load_test and choice"
    ):
        steps(None, SlipwayError("it is busy"), None, None)
    assert (read_json(incomplete)["incomplete"], "benchmark" in read_json(incomplete)) == (["benchmark"], False)
    assert not complete.exists(), "an earlier complete record would stay"
    steps(None, None, None, None)
    assert "incomplete" not in read_json(complete)
    assert not incomplete.exists()


def test_a_first_command_ends_after_a_step_and_a_second_one_goes_on(steps, tmp_path):
    complete, incomplete = tmp_path / "small.json", tmp_path / "small.incomplete.json"
    steps(None, None, until="benchmark")
    assert read_json(incomplete)["incomplete"] == ["load_test", "choice"]
    assert "benchmark" in read_json(incomplete)
    assert not complete.exists()
    steps(None, None, None, until="load_test")
    assert ("load_test" in read_json(incomplete), "selection" in read_json(incomplete)) == (True, False)
    steps(None, None, None, None)
    assert {"load_test", "capacity", "selection"} <= set(read_json(complete))
    assert not incomplete.exists()


def test_a_last_step_that_the_configuration_does_not_have_ends_nothing_early(arguments):
    assert arguments("--until", "benchmark").until == "benchmark"
    assert list(records_of("small", MEASURED)) == ["accuracy", "benchmark", "load_test", "choice"]
    assert records_of("small", MEASURED)["load_test"] == ["results/small/h100/analysis/analysis.json"]
