"""Killed in the middle of a step, the workflow leaves no partial artifact under a final name and goes on when asked."""

import contextlib
import os
import signal
import subprocess
import time

import psutil
import pytest
from helpers.patience import PATIENCE_S
from helpers.workplace import ENGINE_RECORD, ONNX, WEIGHTS, Outcome

pytestmark = pytest.mark.slow


@pytest.fixture
def exporting(after_good_run):
    """Return a workplace, a running snakemake, and its export, suspended as it writes beside its final name."""
    after_good_run.path(ONNX).unlink()
    after_good_run.path(f"{ONNX}.json").unlink()
    process = subprocess.Popen(
        after_good_run.snakemake_command(ONNX, ENGINE_RECORD),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        wait_for(lambda: exports(process), process)
        (program,) = exports(process)
        program.suspend()
        while not after_good_run.partial_files():
            program.resume()
            time.sleep(0.02)
            program.suspend()
        yield after_good_run, process, program
    finally:
        for leftover in family(process.pid):
            leftover.kill()
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def wait_for(condition, process):
    """Return once `condition` holds; fail when the process ends before, or after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"it ended too soon:\n{process.stdout.read()}"
        assert time.monotonic() < deadline, "the export never began"
        time.sleep(0.01)


def family(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def exports(process):
    """Return the exporting programs below a snakemake, not the shells around them."""
    return [child for child in family(process.pid) if is_export(child)]


def require_continued(workplace, before):
    """Require that the next run makes what is missing, keeps the weights, and removes what was left half written."""
    workplace.snakemake(ONNX, ENGINE_RECORD).succeeded()
    assert workplace.artifacts()[WEIGHTS] == before[WEIGHTS]
    assert workplace.path(ONNX).is_file()
    assert not workplace.partial_files(), "what the killed program wrote stays on the disk for ever"


@pytest.mark.long
def test_killed_program(exporting):
    workplace, process, program = exporting
    before = workplace.artifacts(*workplace.partial_files())

    program.kill()
    said, _ = process.communicate(timeout=PATIENCE_S)

    Outcome(process.returncode, said).refused("Error in rule export_onnx", "SIGKILL")
    assert not workplace.path(ONNX).exists()
    assert workplace.artifacts(*workplace.partial_files()) == before

    require_continued(workplace, before)


def is_export(process):
    """Say whether a process is the program itself, not the shell around it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(word.endswith("export_onnx.py") for word in process.cmdline()[1:2])
    return False


@pytest.mark.long
def test_killed_snakemake(exporting):
    workplace, process, program = exporting
    program.resume()
    before = workplace.artifacts(*workplace.partial_files())
    children = family(process.pid)

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)

    assert not alive, f"a job outlived its workflow: {alive}"
    assert not workplace.path(ONNX).exists()
    assert workplace.artifacts(*workplace.partial_files()) == before

    require_continued(workplace, before)


@pytest.mark.long
def test_a_second_workflow_is_told_so_in_one_sentence(exporting):
    workplace, process, program = exporting
    program.resume()
    os.killpg(process.pid, signal.SIGSTOP)  # else a busy machine may be through with it before the second has begun
    second = workplace.snakemake(ONNX).refused(
        f"another snakemake works in this folder (process {process.pid} on ", "wait for it, or stop it"
    )
    assert "--unlock" not in second.said
    workplace.snakemake("-n", ONNX).succeeded()
    os.killpg(process.pid, signal.SIGCONT)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
