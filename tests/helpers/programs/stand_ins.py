"""Programs of the tests that stand in for others: put where PATH finds them, with Slipway's modules and the tests'."""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def put_on_path(folder, name, program):
    """Write a program that runs a Python file under a name into a folder; return the environment that finds it."""
    modules = os.pathsep.join(str(REPOSITORY / each) for each in ("scripts", "tests"))
    text = f'#!/bin/sh\nPYTHONPATH={modules} exec {sys.executable} {Path(program).resolve()} "$@"\n'
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
