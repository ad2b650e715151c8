"""What tests of the workflow start from, made once for all processes that run tests."""

import os
import signal
import sys

import filelock
import pytest
import yaml
from helpers import made_clone
from helpers.workplace import ENGINE_RECORD, REFERENCE, REPOSITORY, Workplace, random_checkpoint

# Under nohup, or behind `&` in a script, these signals are ignored, and every program that a test starts inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# PyTorch's threads would wait for each other in busy loops. Where several tests share two cores, a loop holds the core
# that the other thread needs: 300 runs of a tiny network took 19 s of CPU time, not 1.6 s. Programs inherit this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def scripts_come_first():
    """Put scripts/ first in sys.path, as pytest did: `users_modules_first` moves it behind the packages.

    A folder of onnxruntime is there, too, once a test imported it, and has a module `benchmark` of its own.
    """
    ours = {str(REPOSITORY / "scripts"), str(REPOSITORY / "scripts" / "tools")}
    sys.path.sort(key=lambda folder: folder not in ours)


@pytest.fixture(autouse=True)
def written_modules_are_forgotten(tmp_path_factory):
    """Take modules that a test wrote and imported out of sys.modules: no later test shall find them."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]


def made_once(tmp_path_factory, name, make):
    """Return a folder in which make(folder) did its work, whichever process of this run came first."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent / "common" if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, made = common / name, common / f"{name}.made"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(common / f"{name}.lock"):
        if not made.exists():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def good_run(tmp_path_factory):
    """Return a folder with reference outputs, ONNX file and engine of a good checkpoint; leave it as is."""
    folder = made_once(tmp_path_factory, "good_run", make_good_run)
    return Workplace(folder, yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))


def make_good_run(folder):
    """Carry a tiny model to its reference outputs and its engine."""
    made = Workplace(folder)
    random_checkpoint(made.path("good.pth"), seed=1)
    made.snakemake(REFERENCE, ENGINE_RECORD).succeeded()
    assert not made.partial_files()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a clone in which a tiny model was made for this CPU and for an L4; leave it as is."""
    return made_clone.there(made_once(tmp_path_factory, "made_clone", made_clone.make))
