"""The programs that no rule runs start wherever they are called."""

import subprocess
import sys

import pytest

from slipway.keys.code_hash import SCRIPTS

TOOLS = sorted((SCRIPTS / "tools").glob("*.py"))


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_a_tool_starts_in_another_folder(path, tmp_path):
    shown = subprocess.run([sys.executable, path, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--log" in shown.stdout


def test_a_tool_starts_in_the_repository():
    command = [sys.executable, "scripts/tools/measure_gpu.py", "--help"]
    shown = subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, text=True, check=True)
    assert "--configurations" in shown.stdout
