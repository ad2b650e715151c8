from math import prod

import pytest

import measure_planning
from measure_planning import SHAPES
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.validation import resolve

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


def test_the_shapes_have_1_10_100_and_300_combinations():
    assert [prod(shape) for shape in SHAPES] == [1, 10, 100, 300]


@pytest.mark.parametrize("shape", [*SHAPES, (2, 1, 3)])
def test_a_made_up_configuration_plans_exactly_the_combinations_asked_for(shape):
    resolved = resolve(complete(measure_planning.synthetic_config(*shape)))
    planned = {
        (model, target, precision)
        for model in resolved.models
        for target in resolved.targets
        for precision in resolved.precisions(target)
    }
    assert len(planned) == prod(shape)
    assert (len(resolved.models), len(resolved.targets), len(resolved.all_precisions())) == shape


def test_a_made_up_configuration_looks_for_nothing_on_this_machine(monkeypatch):
    monkeypatch.setattr("slipway.core.hardware.gpu_identity", lambda: pytest.fail("it looked for a GPU"))
    monkeypatch.setattr("slipway.core.packages.runtime_version", lambda *_: pytest.fail("it looked for TensorRT"))
    resolved = resolve(complete(measure_planning.synthetic_config(1, 1, 3)))
    key = JobKeys(resolved).build_engine("gpu0", "bf16")
    assert (key["runtime_version"], key["cuda"]) == ("10.13.3.9", "cu12")
    assert key["hardware"] == "NVIDIA L4 (compute capability 8.9)"


def test_the_jobs_of_a_dry_run_are_counted():
    assert measure_planning.planned_jobs(DRY_RUN) == 11


def test_a_dry_run_without_a_table_is_refused():
    with pytest.raises(SlipwayError, match="no table of jobs"):
        measure_planning.planned_jobs("Nothing to be done (all requested files are present and up to date).")
