import pytest

import measure_planning
from measure_planning import SHAPES, Case, Outcome, Shape
from slipway.config import complete
from slipway.errors import SlipwayError
from slipway.plan import Plan

DRY_RUN = """\
Building DAG of jobs...
Job stats:
job               count
--------------  -------
build_tensorrt       10
evidence              1
total                11


Job 1: Building the fp32 engine of total for gpu0
Job stats:
job               count
--------------  -------
total                11
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Configurations


def test_the_shapes_have_1_10_100_and_300_combinations():
    assert [shape.combinations for shape in SHAPES] == [1, 10, 100, 300]


@pytest.mark.parametrize("shape", [*SHAPES, Shape(2, 1, 3)])
def test_a_made_up_configuration_plans_exactly_the_combinations_asked_for(shape):
    plan = Plan(complete(measure_planning.made_up_config(shape)))
    planned = {
        (model, target, precision)
        for model in plan.models
        for target in plan.targets
        for precision in plan.precisions(target)
    }
    assert len(planned) == shape.combinations
    assert (len(plan.models), len(plan.targets), len(plan.all_precisions())) == (
        shape.models,
        shape.targets,
        shape.precisions,
    )


def test_a_made_up_configuration_looks_for_nothing_on_this_machine(monkeypatch):
    monkeypatch.setattr("slipway.hardware.gpu_identity", lambda: pytest.fail("it looked for a GPU"))
    monkeypatch.setattr("slipway.toolchain.runtime_version", lambda *_: pytest.fail("it looked for TensorRT"))
    plan = Plan(complete(measure_planning.made_up_config(Shape(1, 1, 3))))
    key = plan.engine("gpu0", "bf16")
    assert (key["runtime_version"], key["cuda"]) == ("10.13.3.9", "cu12")
    assert key["hardware"] == "NVIDIA L4 (compute capability 8.9)"


def test_the_tiny_configuration_is_valid_and_needs_its_checkpoint(tmp_path):
    (tmp_path / "random.pth").touch()
    plan = Plan(complete(measure_planning.tiny_config()))
    assert plan.checkpoint("tiny") == "random.pth"
    assert plan.precisions("cpu") == ["fp32"]


# Running in turn


class FakeRunner:
    """Takes one second longer every time, and notes what it was to run."""

    def __init__(self):
        self.ran = []

    def __call__(self, case):
        self.ran.append(case.folder)
        return Outcome(len(self.ran), "nothing")


def test_the_cases_take_turns_and_the_first_round_is_not_counted():
    runner = FakeRunner()
    outcomes = measure_planning.alternate({name: Case(name, None, ()) for name in "abc"}, 2, runner)
    assert runner.ran == ["a", "b", "c"] * 3
    assert {name: [each.seconds for each in several] for name, several in outcomes.items()} == {
        "a": [4, 7],
        "b": [5, 8],
        "c": [6, 9],
    }


@pytest.mark.parametrize("deploy", [False, True])
def test_the_empty_workflow_comes_first_and_deploy_only_when_asked_for(tmp_path, deploy):
    cases = measure_planning.cases_with_nothing_to_do(tmp_path / "empty", tmp_path / "tiny", deploy)
    names = ["empty", "dry_run", "nothing_to_do"]
    assert list(cases) == names + (["dry_run_of_deploy", "deploy_with_nothing_to_do"] if deploy else [])


def test_an_empty_workflow_has_nothing_to_do(tmp_path):
    empty = measure_planning.write_empty(tmp_path / "empty")
    outcome = measure_planning.snakemake(Case(empty, empty / "Snakefile", ()))
    measure_planning.require_nothing_to_do({"empty": [outcome]})


def test_a_run_that_found_something_to_do_is_refused():
    outcomes = {"empty": [Outcome(1.0, measure_planning.NOTHING)], "dry_run": [Outcome(1.0, "Job 1: Profiling tiny")]}
    with pytest.raises(SlipwayError, match=r"'dry_run' found something to do[^$]*Profiling tiny"):
        measure_planning.require_nothing_to_do(outcomes)


def test_a_failed_run_is_told_with_what_it_said(tmp_path):
    with pytest.raises(SlipwayError, match=r"`snakemake -n evidence` failed; it said:\n"):
        measure_planning.snakemake(Case(tmp_path, tmp_path / "absent", ("-n", "evidence")))


def test_no_round_at_all_is_refused_before_anything_is_built(tmp_path):
    arguments = measure_planning.parse_arguments(["--rounds", "0", "--output", str(tmp_path / "record.json")])
    with pytest.raises(SlipwayError, match="--rounds is 0, but must be at least 1"):
        measure_planning.main(arguments)


# Numbers


def test_ratios_are_those_of_the_medians():
    seconds = {"empty": [1.0, 2.0, 9.0], "dry_run": [3.0, 5.0, 5.5]}
    outcomes = {name: [Outcome(each, "") for each in several] for name, several in seconds.items()}
    assert measure_planning.summarise(outcomes) == {
        "seconds": seconds,
        "median_seconds": {"empty": 2.0, "dry_run": 5.0},
        "ratio_to_empty": {"empty": 1.0, "dry_run": 2.5},
    }


def test_the_jobs_of_a_dry_run_are_counted():
    assert measure_planning.planned_jobs(DRY_RUN) == 11


def test_a_dry_run_without_a_table_is_refused():
    with pytest.raises(SlipwayError, match="no table of jobs"):
        measure_planning.planned_jobs("Nothing to be done (all requested files are present and up to date).")


def test_a_straight_line_is_found_exactly():
    assert measure_planning.fit([1, 10, 100], [2.01, 2.1, 3.0]) == {
        "seconds_at_zero": 2.0,
        "seconds_each": 0.01,
        "largest_relative_deviation": 0.0,
    }


def test_the_largest_deviation_is_that_of_the_worst_point():
    found = measure_planning.fit([0, 1, 2], [1.0, 4.0, 1.0])
    assert found == {"seconds_at_zero": 2.0, "seconds_each": 0.0, "largest_relative_deviation": 1.0}


def test_the_table_names_every_case_and_every_point():
    outcomes = {"empty": [Outcome(1.0, "")], "dry_run": [Outcome(1.5, "")]}
    points = [
        measure_planning.point(shape, [Outcome(1 + shape.combinations / 100, DRY_RUN)])
        for shape in (Shape(1, 1, 1), Shape(5, 2, 1))
    ]
    line = {"seconds_at_zero": 1.0, "seconds_each": 0.01, "largest_relative_deviation": 0.04}
    shown = measure_planning.table(
        {
            "against_an_empty_workflow": measure_planning.summarise(outcomes),
            "growth": {"points": points, "by_combinations": line, "by_jobs": line},
        }
    ).splitlines()
    assert shown[1].split() == ["dry", "run", "1.50", "s", "1.50", "x", "empty"]
    assert shown[3].split() == ["combinations", "10", "jobs", "11", "1.10", "s"]
    assert shown[4] == "1.00 s + 10.0 ms for each of the combinations; no point is further than 4% from that"
