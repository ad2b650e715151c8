import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.errors import SlipwayError
from slipway.sources import SCRIPTS, adapter_file, program_files, runtime_files, worker_file

REPOSITORY = SCRIPTS.parent
PROGRAMS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    program_files.cache_clear()
    yield
    program_files.cache_clear()


def test_the_program_comes_first_and_the_rest_is_sorted():
    first, *rest = program_files("benchmark")
    assert first == "scripts/benchmark.py"
    assert rest == sorted(rest)
    assert len(rest) == len(set(rest))


def test_direct_imports_are_in_it():
    assert {"scripts/slipway/models.py", "scripts/slipway/measure.py"} <= set(program_files("benchmark"))


def test_imports_are_followed_through_modules():
    tree = ast.parse((SCRIPTS / "undeploy.py").read_text(encoding="utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "slipway.artifacts" not in named  # undeploy reaches it through slipway.local_server only
    assert "scripts/slipway/artifacts.py" in program_files("undeploy")


def test_packages_around_a_module_are_in_it():
    files = program_files("deploy")
    assert "scripts/slipway/__init__.py" in files
    assert "scripts/slipway/triton/__init__.py" in files


def test_imports_relative_to_a_package_are_followed():
    listed = program_files("tensorrt_worker")
    assert "scripts/slipway/runtimes/tensorrt/measuring.py" in [path[path.index("scripts") :] for path in listed]
    assert "scripts/slipway/runtimes/tensorrt/explain.py" in [path[path.index("scripts") :] for path in listed]


def test_a_package_is_listed_whole():
    assert {Path(path).name for path in runtime_files("tensorrt")} >= {"__init__.py", "builder.py", "runner.py"}


def test_an_import_inside_a_function_is_in_it():
    assert "scripts/slipway/triton/client.py" in program_files("status")


@pytest.mark.parametrize("name", ["slipway/triton/server.py", "slipway/images.py", "slipway/plan.py", "deploy.py"])
def test_an_unrelated_module_is_not_in_it(name):
    assert f"scripts/{name}" not in program_files("choose_configuration")


@pytest.mark.parametrize("name", PROGRAMS)
def test_paths_are_relative_and_exist(name):
    for path in program_files(name):
        assert not Path(path).is_absolute()
        assert Path(path).is_file()


def test_the_files_that_are_found_by_name_exist():
    for path in (*runtime_files("openvino"), *runtime_files("tensorrt"), worker_file(), adapter_file()):
        assert not Path(path).is_absolute()
        assert Path(path).is_file()


IMPORT_EACH = """
import importlib, json, sys
from pathlib import Path
found = {}
for name in json.loads(sys.argv[2]):
    for module in [module for module in sys.modules if module.split(".")[0] == "slipway"]:
        del sys.modules[module]
    sys.path.insert(0, sys.argv[1])
    importlib.import_module(name)
    found[name] = sorted(
        str(Path(module.__file__).resolve())
        for module_name, module in sys.modules.items()
        if module_name.split(".")[0] == "slipway"
    )
print(json.dumps(found))
"""


def test_every_module_that_a_program_really_imports_is_in_it():
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, str(SCRIPTS), json.dumps(PROGRAMS)],
        capture_output=True,
        text=True,
        check=True,
    )
    for name, imported in json.loads(ran.stdout.splitlines()[-1]).items():
        listed = {str(Path(path).resolve()) for path in program_files(name)}
        assert set(imported) <= listed, name


def test_a_missing_program_is_an_error():
    with pytest.raises((SlipwayError, FileNotFoundError)):
        program_files("no_such_program")
