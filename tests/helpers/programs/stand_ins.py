"""Programs of the tests that stand in for others: put where PATH finds them, with Slipway's modules and the tests'."""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def put_on_path(folder, name, program, *words):
    """Write a program that runs a Python file under a name into a folder; return the environment that finds it.

    The file gets `words` before the words of the command line.
    """
    modules = os.pathsep.join(str(REPOSITORY / each) for each in ("scripts", "tests"))
    command = " ".join([sys.executable, str(Path(program).resolve()), *words])
    text = f'#!/bin/sh\nPYTHONPATH={modules} exec {command} "$@"\n'
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
