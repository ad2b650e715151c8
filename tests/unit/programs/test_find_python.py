"""A Python that cannot work is refused in one sentence, before anything is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIND_PYTHON = Path(__file__).resolve().parents[3] / "scripts" / "find_python"


def find(python: str, *what: str) -> subprocess.CompletedProcess:
    """Return how the search ends where only this Python is there."""
    variables = {**os.environ, "PYTHON": python, "SERVING_PYTHON": python}
    return subprocess.run([str(FIND_PYTHON), *what], env=variables, capture_output=True, text=True, check=False)


def require_refusal(found: subprocess.CompletedProcess, path: str, reason: str) -> None:
    assert found.returncode == 1
    assert found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1
    assert path in found.stderr
    assert reason in found.stderr


def pretend(path: Path, body: str) -> str:
    """Write a Python that is this one, told lies about itself first."""
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\nexec(sys.argv[2])\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_this_python_works():
    found = find(sys.executable)
    assert found.returncode == 0
    assert found.stdout.strip() == sys.executable


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("sys.version_info = (3, 10, 2)", "is Python 3.10, not 3.11 to 3.13"),
        ("sys.version_info = (3, 14, 2)", "is Python 3.14, not 3.11 to 3.13"),
        ("sys.platform = 'darwin'", "not on Linux x86-64"),
        ("import platform; platform.machine = lambda: 'aarch64'", "not on Linux x86-64"),
        ("import platform; platform.libc_ver = lambda: ('glibc', '2.31')", "not on glibc 2.34 or newer"),
        ("sys.modules['venv'] = None", "has no venv module"),
    ],
)
def test_another_is_refused_with_its_reason(tmp_path, lie, reason):
    path = pretend(tmp_path / "python3.11", lie)
    require_refusal(find(path), path, reason)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("sys.version_info = (3, 13, 0)", "is Python 3.13, not 3.10 to 3.12"),
        ("import ctypes; ctypes.CDLL = lambda name: exec('raise OSError')", "has no libpython3."),
    ],
)
def test_what_cannot_serve_is_refused_with_its_reason_and_may_still_build(tmp_path, lie, reason):
    path = pretend(tmp_path / "python3.11", lie)
    require_refusal(find(path, "serving"), path, reason)
    assert find(path).stdout.strip() == path


def test_beside_a_python_that_cannot_serve_another_one_is_taken(tmp_path):
    newest = pretend(tmp_path / "python3.13", "sys.version_info = (3, 13, 0)")
    older = pretend(tmp_path / "python3.11", "")
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = [str(FIND_PYTHON), "serving"]
    found = subprocess.run([*command, newest], env=variables, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == older
    found = subprocess.run([*command, sys.executable], env=variables, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == sys.executable, "the one that builds comes first"


def test_none_at_all_is_said():
    found = find("no-such-python")
    assert found.returncode == 1
    assert "there is no python3 on PATH" in found.stderr
