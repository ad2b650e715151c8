"""Two environments: NumPy 2 where models are built, NumPy 1 where Triton's Python backend serves; they never mix."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from helpers.workplace import REPOSITORY

from slipway.core import serving_environment
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT
from slipway.core.packages import SERVING, required_packages
from slipway.core.serving_environment import (
    PROGRAMS,
    is_separate,
    require_same_version,
    serving_program,
    serving_python,
    serving_version,
)
from slipway.runtimes import RUNTIMES
from slipway.triton.server.interpreter import ask_interpreter

ON_CPU = [traits for traits in RUNTIMES.values() if traits.hardware == "cpu"]


@pytest.fixture
def one_for_everything(monkeypatch, tmp_path):
    """Stand where there is no environment of its own for the server."""
    monkeypatch.setattr(serving_environment, "FOLDER", tmp_path / "serving")
    serving_version.cache_clear()
    yield
    serving_version.cache_clear()


def test_the_one_that_builds_has_numpy_2_and_the_one_that_serves_numpy_1():
    assert is_separate()
    assert metadata.version("numpy").startswith("2.")
    assert serving_version("numpy").startswith("1.26.")


@pytest.mark.parametrize("python", [sys.executable, serving_python()], ids=["builds", "serves"])
def test_no_package_of_either_misses_another_or_has_a_wrong_version(python):
    done = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_pinned_to_serve_is_what_serves():
    pins = "".join((REPOSITORY / "envs" / name).read_text(encoding="utf-8") for name in SERVING)
    for package in required_packages(SERVING):
        assert f"\n{package}=={serving_version(package)}" in pins


def test_the_servers_wheel_is_no_package_of_either_interpreter():
    for python in (sys.executable, serving_python()):
        asked = "from importlib.util import find_spec; print(find_spec('pytriton'))"
        assert subprocess.check_output([python, "-I", "-c", asked], text=True) == "None\n"
    assert (PROGRAMS / "pytriton" / "tritonserver" / "bin" / "tritonserver").is_file()
    assert serving_program("perf_analyzer").is_file()


def test_variables_of_the_shell_bring_no_other_packages_into_the_one_that_serves(monkeypatch, tmp_path):
    (tmp_path / "numpy.py").write_text("__version__ = '1.0.0'\n", encoding="utf-8")
    building = next(path for path in sys.path if path.endswith("site-packages"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{building}")
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
    found = ask_interpreter(serving_python())
    assert found.numpy == serving_version("numpy")
    assert not {str(tmp_path), building} & set(found.packages)
    assert found.changes["PYTHONPATH"] is None
    assert found.changes["PYTHONNOUSERSITE"] == "1"
    assert ask_interpreter(Path(sys.executable)).packages[:2] == [str(tmp_path), building], "as it was asked to"


@pytest.mark.parametrize("runtime", ON_CPU, ids=lambda traits: traits.name)
def test_another_version_of_a_runtime_than_the_one_that_builds_is_refused(runtime):
    built = metadata.version(runtime.package)
    require_same_version("target cpu", runtime, built)
    with pytest.raises(SlipwayError, match=rf"target cpu is built by {runtime.title} 1\.0, but {built} would serve it"):
        require_same_version("target cpu", runtime, "1.0")


@pytest.mark.usefixtures("one_for_everything")
def test_without_an_environment_of_its_own_this_interpreter_serves_what_it_has():
    assert serving_python() == Path(sys.executable)
    assert serving_version("numpy") == metadata.version("numpy")
    assert serving_version("no-such-package") == ABSENT
    assert serving_program("perf_analyzer") == Path(sys.executable).with_name("perf_analyzer")
    require_same_version("target cpu", RUNTIMES["openvino"], "1.0")  # its deployment compares them


@pytest.mark.usefixtures("one_for_everything")
def test_a_server_in_this_interpreter_is_found_without_an_environment_of_its_own(monkeypatch, tmp_path):
    assert serving_environment.wheel() is None
    (tmp_path / "pytriton").mkdir()
    (tmp_path / "pytriton" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert serving_environment.wheel() == tmp_path / "pytriton"
