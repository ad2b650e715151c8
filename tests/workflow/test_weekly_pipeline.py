"""The commands of docs/weekly.md: those of its workflow file, of its line for cron, and of its shell blocks."""

import re
import subprocess

import pytest
import yaml
from helpers.pages import blocks, printed
from helpers.workplace import REPOSITORY

pytestmark = pytest.mark.slow

PAGE = "docs/weekly.md"
PLACE = "/srv/slipway"


def workflow():
    """Return the workflow file."""
    (found,) = [text for text in blocks(PAGE, "yaml") if "jobs:" in text]
    return yaml.safe_load(found)


def commands():
    """Return the commands in their order."""
    job = workflow()["jobs"]["deploy"]
    assert job["defaults"]["run"]["working-directory"] == PLACE
    (cron,) = re.findall(r"^0 4 \* \* 1  (.*)$", (REPOSITORY / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    steps = [step["run"] for step in job["steps"] if "run" in step]
    shell = [line for text in blocks(PAGE, "sh") for line in text.splitlines()]
    assert {f".venv/bin/{line}" for line in shell} <= set(steps)
    return [*steps, cron]


@pytest.fixture(scope="module")
def outputs(clone):
    """Return what each command printed, one after the other in a copy of this repository."""
    yield printed(clone, {command: command.replace(PLACE, ".") for command in commands()})
    subprocess.run(["make", "undeploy"], cwd=clone.folder, check=False, capture_output=True)


@pytest.mark.long
def test_every_command_of_the_page_does_what_it_says(outputs, clone):
    compared, deployed, live = (
        outputs[f".venv/bin/snakemake --cores 1 {name}"] for name in ("compare", "deploy", "status")
    )
    assert re.search(r"resnet50 on cpu, \w+: run r[0-9a-f]{12} of ", compared)
    assert re.search("resnet50_trt answers the sample photograph|Nothing to be done", deployed)
    assert "resnet50_trt: answers; live on local since" in live
    (cron,) = [printed for command, printed in outputs.items() if "weekly.log" in command]
    assert cron == ""
    assert clone.path("weekly.log").stat().st_size > 0
    assert clone.path("results/resnet50/history.jsonl").stat().st_size > 0


def test_the_workflow_file_is_one_that_such_a_service_takes():
    found = workflow()
    # YAML 1.1 reads `on` as true.
    assert found[True]["schedule"] == [{"cron": "0 4 * * 1"}]
    assert all({"run", "uses"} & step.keys() for step in found["jobs"]["deploy"]["steps"])
    assert "weekly.log" in commands()[-1]
