"""The workflow on a real Slurm of one node: jobs submitted, cancelled, held up, starved of memory, given GPUs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.programs.debian_packages import Unavailable
from helpers.programs.slurm import GPUS, Slurm
from helpers.workplace import REPOSITORY, TIMEOUT_S, Outcome, Workplace, random_checkpoint, tiny_configuration

from slipway.core.hardware import cpu_identity

EXECUTORS = Path(sys.executable).parents[1] / "executors"
# Enough for nothing at the first attempt.
STARVED = ("--set-resources", "profile_model:mem_mb=60 if attempt == 1 else 4000")
# This cluster keeps no accounts, and need not be asked gently.
HERE = (
    *("--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
    *("--seconds-between-status-checks", "1", "--latency-wait", "20"),
    *("--set-threads", "profile_model=2", "benchmark=2", "load_test=2"),
)
# The plugin asks ever more rarely while nothing ends, which a test need not wait for.
IMPATIENT = """import asyncio
sleep = asyncio.sleep
asyncio.sleep = lambda seconds, *result: sleep(min(seconds, 1), *result)
"""
FLEET = {
    name: {
        "runtime": "tensorrt",
        "precisions": ["fp32"],
        "hardware": f"NVIDIA {name.upper()} (compute capability {capability})",
        "tensorrt": {"version": "10.13.3.9", "cuda": "cu13", "timing_cache": False},
        "cluster": {"gpu_model": name, "partition": name},
    }
    for name, capability in zip(GPUS, ("9.0", "8.9", "8.0"), strict=True)
}


@pytest.fixture(scope="module")
def slurm(request):
    """Return a running cluster; skip where it cannot be had."""
    if not EXECUTORS.is_dir():
        pytest.skip(f"no executors for clusters: `make test` puts them into {EXECUTORS}")
    try:
        cluster = Slurm(request.config.cache.mkdir("slurm"))
    except Unavailable as why:
        pytest.skip(f"no Slurm here: {why}")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory, slurm):
    """Return the login node's folder, with a tiny model for this machine's CPU."""
    config = tiny_configuration()
    config["targets"]["cpu"] |= {"runtime": "openvino", "hardware": cpu_identity()}
    workplace = Workplace(tmp_path_factory.mktemp("login"), config)
    random_checkpoint(workplace.path("good.pth"), seed=0)
    workplace.path("impatient").mkdir()
    workplace.path("impatient/sitecustomize.py").write_text(IMPATIENT, encoding="utf-8")
    return workplace


def submitting(place, slurm, *targets):
    """Return the command line and variables with which the login node submits what makes `targets`."""
    command = [
        *(str(Path(sys.executable).with_name("snakemake")), "-s", str(REPOSITORY / "Snakefile")),
        *("--directory", str(place.folder), "--profile", str(REPOSITORY / "profiles" / "slurm"), *targets, *HERE),
    ]
    path = f"{slurm.bin}:{os.environ['PATH']}"
    return command, {"PATH": path, "PYTHONPATH": f"{EXECUTORS}:{place.path('impatient')}"}


def submit(place, slurm, *targets):
    """Submit and wait for the end."""
    command, variables = submitting(place, slurm, *targets)
    return place.run(command, **variables)


def test_targets_that_would_be_detected_are_refused_before_anything_is_submitted(place, slurm):
    place.configure("targets.cpu.hardware", "auto")
    try:
        submit(place, slurm, "evidence").refused(
            "the target cpu leaves `hardware` to be detected", "Nothing was submitted"
        )
    finally:
        place.configure("targets.cpu.hardware", cpu_identity())
    assert slurm.jobs() == {}


@pytest.mark.long
def test_the_whole_chain_survives_a_drained_node_a_cancelled_job_little_memory_and_a_late_file(place, slurm, tmp_path):
    slurm.ask("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=test")
    command, variables = submitting(place, slurm, "evidence", *STARVED)
    variables["LATE_FILE"] = "results/tiny/tiny.onnx"
    with (tmp_path / "said").open("w+") as said:
        running = subprocess.Popen(
            command, cwd=place.folder, env={**os.environ, **variables}, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            slurm.wait_until(lambda: len(slurm.jobs()) == 3, "three jobs to be submitted")
            assert {job.state for job in slurm.jobs().values()} == {"PENDING"}
            slurm.ask("scontrol", "update", "NodeName=node1", "State=RESUME")
            cancelled = next(name for name, job in slurm.jobs().items() if "export_onnx" in job.comment)
            slurm.wait_until(lambda: slurm.jobs()[cancelled].state == "RUNNING", "a job to run")
            slurm.ask("scancel", cancelled)
            running.wait(TIMEOUT_S)
        finally:
            running.kill()
            running.wait()
            slurm.ask("scontrol", "update", "NodeName=node1", "State=RESUME")
        said.seek(0)
        outcome = Outcome(running.returncode, said.read()).succeeded()
    jobs = slurm.jobs()
    assert jobs[cancelled].state == "CANCELLED"
    done = [job.comment for job in jobs.values() if job.state == "COMPLETED"]
    steps = "the reference outputs, the ONNX file, the profile, the engine with its measurements, the capacity"
    assert len(done) == 5, f"{steps}: {done}"
    assert len(jobs) == 7, "one was cancelled, one ran out of memory"
    assert all(f"SLURM jobid {name} " in outcome.said for name in jobs)
    assert {job.gpus for job in jobs.values()} <= {"", "N/A"}, "no job of a CPU asks for a GPU"
    assert "profile_model ran out of its memory of 60 MB; raise `mem_mb`" in outcome.said
    assert outcome.said.count("Trying to restart") == 2
    assert place.path("results/tiny/weights.json").is_file(), "weights are fetched on the login node"
    assert place.path("results/tiny/cpu/selection.json").is_file()
    nothing = submit(place, slurm, "evidence").succeeded().said
    assert "Nothing to be done" in nothing, nothing


@pytest.mark.long
def test_a_fleet_builds_in_parallel_on_the_gpus_of_its_partitions(place, slurm):
    """The GPUs are empty files, so each build is started where its GPU should be and then refuses to work there."""
    known = set(slurm.jobs())
    place.config["targets"] = FLEET
    place.write_config()
    engines = [f"results/tiny/{name}/tiny.fp32.engine.json" for name in GPUS]
    submit(place, slurm, *engines, "--retries", "0", "--keep-going").refused("Error in rule build_tensorrt")
    for name in GPUS:
        log = place.path(f"logs/tiny/{name}/build_tensorrt.fp32.log").read_text(encoding="utf-8")
        assert re.search("error: (TensorRT is not installed|this job was planned for the GPU)", log), log
    jobs = [job for name, job in slurm.jobs().items() if name not in known]
    assert {(job.partition, job.gpus, job.state) for job in jobs if job.partition != "cpu"} == {
        (name, f"gres:gpu:{name}:1", "FAILED") for name in GPUS
    }
    assert {job.gpus for job in jobs if job.partition == "cpu"} <= {"", "N/A"}
