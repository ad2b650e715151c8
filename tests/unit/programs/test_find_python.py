"""A Python that cannot work is refused in one sentence, before anything is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIND_PYTHON = Path(__file__).resolve().parents[3] / "scripts" / "find_python"


def find(python: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(FIND_PYTHON)], env={**os.environ, "PYTHON": python}, capture_output=True, text=True, check=False
    )


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
        ("sys.version_info = (3, 9, 2)", "is Python 3.9, not 3.11 or 3.12"),
        ("sys.platform = 'darwin'", "not on Linux x86-64"),
        ("import platform; platform.machine = lambda: 'aarch64'", "not on Linux x86-64"),
        ("import platform; platform.libc_ver = lambda: ('glibc', '2.31')", "not on glibc 2.34 or newer"),
        ("sys.modules['venv'] = None", "has no venv module"),
    ],
)
def test_another_is_refused_with_its_reason(tmp_path, lie, reason):
    path = pretend(tmp_path / "python3.11", lie)
    found = find(path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1
    assert path in found.stderr
    assert reason in found.stderr


def test_none_at_all_is_said():
    found = find("no-such-python")
    assert found.returncode == 1
    assert "there is no python3 on PATH" in found.stderr
