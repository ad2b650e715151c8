"""Edits of a copy of the programs: other words change no key, other code changes the keys that have it."""

import json
import shutil
import subprocess
import sys

import pytest
from helpers.workplace import REPOSITORY

# {edit: (file in scripts/, text, its replacement)}
REWORDED = {
    "a message of the program": (
        "build_engine.py",
        "it cannot be refitted with new weights",
        "it takes no new weights",
    ),
    "an error of a module": ("slipway/core/artifacts.py", "nothing was written to", "there is no content in"),
    "a module that explains errors": ("slipway/core/os_errors.py", "\nfrom slipway", "\nEDITED = True\nfrom slipway"),
    "the frame of the programs": ("slipway/core/cli.py", "\nfrom slipway", "\nEDITED = True\nfrom slipway"),
    "how a model is served": (
        "slipway/triton/repository/model_config.py",
        "\nPREPROCESS",
        "\nEDITED = True\nPREPROCESS",
    ),
}
CHANGED = {
    "the program": ("build_engine.py", "\ndef main", "\nEDITED = True\n\n\ndef main"),
    "a module": ("slipway/core/artifacts.py", "\ndef ", "\nEDITED = True\n\n\ndef "),
    "the type of an error": ("slipway/core/artifacts.py", "raise FileNotFoundError(", "raise OSError("),
}
# One process makes the keys after each edit, since it takes seconds to start.
KEYS = """
import json, sys
from pathlib import Path
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.validation import resolve

resolved = resolve(complete({"models": {"m": {}}, "targets": {"cpu": {"runtime": "openvino"}}}))

def keys():
    made = JobKeys(resolved)
    return {"engine": repr(made.build_engine("cpu", "fp32")), "benchmark": repr(made.benchmark("m", "cpu")),
            "onnx": repr(made.export_onnx("m"))}

told = {"": keys()}
for name, (file, text, replacement) in json.loads(sys.argv[1]).items():
    path = Path("scripts", file)
    before = path.read_text(encoding="utf-8")
    assert text in before, (file, text)
    path.write_text(before.replace(text, replacement, 1), encoding="utf-8")
    told[name] = keys()
    path.write_text(before, encoding="utf-8")
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Return the keys of an engine, a benchmark and an ONNX file, as they are and after each edit."""
    folder = tmp_path_factory.mktemp("edited")
    for part in ("scripts", "schemas"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", KEYS, json.dumps(REWORDED | CHANGED)]
    environment = {"PYTHONPATH": str(folder / "scripts")}
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return json.loads(made.stdout)


@pytest.mark.parametrize("edit", REWORDED)
def test_an_edit_that_makes_no_other_artifact_leaves_its_key(keys, edit):
    assert keys[edit] == keys[""]


@pytest.mark.parametrize("edit", CHANGED)
def test_an_edit_that_may_make_another_engine_changes_its_key(keys, edit):
    assert keys[edit]["engine"] != keys[""]["engine"]
    assert (keys[edit]["onnx"] == keys[""]["onnx"]) == (edit == "the program")
