import pytest

import measure_planning
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.validation import resolve
from slipway.tools import snakemake_runs
from slipway.tools.snakemake_runs import Outcome


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_tiny_configuration_is_valid_and_needs_its_checkpoint(tmp_path):
    (tmp_path / "random.pth").touch()
    resolved = resolve(complete(measure_planning.tiny_config()))
    assert resolved.checkpoint("tiny") == "random.pth"
    assert resolved.precisions("cpu") == ["fp32"]


def test_the_empty_workflow_comes_first_and_deploy_last(tmp_path):
    runs = measure_planning.runs_with_nothing_to_do(tmp_path / "empty", tmp_path / "tiny")
    assert list(runs) == ["empty", "dry_run", "nothing_to_do", "dry_run_of_deploy", "deploy_with_nothing_to_do"]


def test_an_empty_workflow_has_nothing_to_do(tmp_path):
    empty = measure_planning.write_empty(tmp_path / "empty")
    outcome = snakemake_runs.snakemake(empty, snakefile=empty / "Snakefile")
    measure_planning.require_nothing_to_do({"empty": [outcome]})


def test_a_run_that_found_something_to_do_is_refused():
    outcomes = {"empty": [Outcome(1.0, measure_planning.NOTHING)], "dry_run": [Outcome(1.0, "Job 1: Profiling tiny")]}
    with pytest.raises(SlipwayError, match=r"'dry_run' found something to do[^$]*Profiling tiny"):
        measure_planning.require_nothing_to_do(outcomes)


def test_no_round_at_all_is_refused_before_anything_is_built(tmp_path):
    arguments = measure_planning.parse_arguments(["--rounds", "0", "--output", str(tmp_path / "record.json")])
    with pytest.raises(SlipwayError, match="--rounds is 0, but must be at least 1"):
        measure_planning.main(arguments)


def test_ratios_are_those_of_the_medians():
    seconds = {"empty": [1.0, 2.0, 9.0], "dry_run": [3.0, 5.0, 5.5]}
    outcomes = {name: [Outcome(each, "") for each in several] for name, several in seconds.items()}
    assert measure_planning.summarise(outcomes) == {
        "seconds": seconds,
        "median_seconds": {"empty": 2.0, "dry_run": 5.0},
        "ratio_to_empty": {"empty": 1.0, "dry_run": 2.5},
    }


def test_the_table_names_every_case_and_every_point():
    outcomes = {"empty": [Outcome(1.0, "")], "dry_run": [Outcome(1.5, "")]}
    points = [
        measure_planning.point(shape, [Outcome(seconds, "total                11")])
        for shape, seconds in (((1, 1, 1), 1.01), ((5, 2, 1), 1.1))
    ]
    shown = measure_planning.table(
        {
            "against_an_empty_workflow": measure_planning.summarise(outcomes),
            "growth": {"points": points},
        }
    ).splitlines()
    assert shown[1].split() == ["dry", "run", "1.50", "s", "1.50", "x", "empty"]
    assert shown[3].split() == ["combinations", "10", "jobs", "11", "1.10", "s"]
