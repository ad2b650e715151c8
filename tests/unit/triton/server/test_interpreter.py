import json
import os
import subprocess
import sys

import numpy as np
import pytest

from slipway.core.errors import SlipwayError
from slipway.triton.server.interpreter import ask_interpreter, write_launcher, write_stub_launcher

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


@pytest.fixture
def wrapped(tmp_path, monkeypatch):
    """Return a script around this interpreter that changes its environment, as those of a TensorRT do."""
    monkeypatch.setenv("UNWANTED", "here")
    script = tmp_path / "wrapped-python"
    folder = tmp_path / "more packages"
    folder.mkdir()
    script.write_text(
        f'#!/bin/sh\nunset UNWANTED\nexport PYTHONPATH="{folder}" MARK="it\'s set"\nexec {sys.executable} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script, folder


def test_this_interpreter_changes_nothing():
    found = ask_interpreter(sys.executable)
    assert found.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.numpy == np.__version__
    assert found.changes.keys() <= {"LC_CTYPE"}, "Python itself sets that in the C locale"
    assert next(path for path in sys.path if path.endswith("site-packages")) in found.packages


def test_a_script_around_an_interpreter_tells_what_it_changes(wrapped):
    script, folder = wrapped
    found = ask_interpreter(script)
    assert found.changes["PYTHONPATH"] == str(folder)
    assert found.changes["MARK"] == "it's set"
    assert found.changes["UNWANTED"] is None
    assert str(folder) in found.packages


@pytest.mark.parametrize("text", ["#!/bin/sh\necho no Python >&2; exit 3\n", "#!/no/such/interpreter\n"])
def test_what_is_no_interpreter_is_named(tmp_path, text):
    script = tmp_path / "not-python"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    with pytest.raises(SlipwayError, match=r"does not run as a Python interpreter: .*no") as caught:
        ask_interpreter(script)
    assert str(script) in str(caught.value)


def test_a_launcher_changes_the_environment_and_passes_the_arguments_on(tmp_path):
    launcher = tmp_path / "below" / "launcher"
    write_launcher(launcher, [sys.executable, "-c", SHOW], {"ADDED": "a 'b' $HOME\n", "REMOVED": None})
    command = [launcher, "an argument", "$HOME"]
    done = subprocess.run(command, env={"REMOVED": "x", "KEPT": "y"}, capture_output=True, text=True, check=True)
    arguments, environment = json.loads(done.stdout)
    assert arguments == ["an argument", "$HOME"]
    assert environment["ADDED"] == "a 'b' $HOME\n"
    assert environment["KEPT"] == "y"
    assert "REMOVED" not in environment


def test_a_launcher_takes_the_place_of_a_link_without_touching_its_target(tmp_path):
    target, launcher = tmp_path / "stub", tmp_path / "launcher"
    target.write_text("the program", encoding="utf-8")
    launcher.symlink_to(target)
    write_launcher(launcher, [str(target)], {})
    assert target.read_text(encoding="utf-8") == "the program"


def test_the_stub_finds_the_interpreters_packages_without_its_variables(tmp_path, wrapped):
    """Any program that embeds Python looks for python3 on PATH; here python3 itself stands for it."""
    script, folder = wrapped
    (folder / "only_there.py").write_text("answer = 42\n", encoding="utf-8")
    stub = tmp_path / "stub"
    stub.write_text('#!/bin/sh\nexec python3 -I "$@"\n', encoding="utf-8")
    stub.chmod(0o755)
    launcher = tmp_path / "launcher"
    write_stub_launcher(launcher, stub, ask_interpreter(script), tmp_path)
    asks = "import only_there, numpy; print(only_there.answer)"
    done = subprocess.run([launcher, "-c", asks], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"
