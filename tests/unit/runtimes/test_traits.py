"""What each runtime states of itself, and what is told where it does not."""

import ast
import dataclasses
import json
import re

import pytest

from slipway import runtimes
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import package_version
from slipway.core.packages import SERVING, required_packages
from slipway.core.serving_environment import serving_version
from slipway.core.traits import read_traits
from slipway.keys.code_hash import CodeHashes
from slipway.runtimes import RUNTIMES, runtime, runtime_code
from slipway.runtimes.traits import NativeBackend, RuntimeTraits
from slipway.snakemake_hooks.rerun_reasons import of_settings

# Its users have it under an interpreter of their own.
PINNED_BY_USERS = {"tensorrt"}
STATED = {
    "title": "Toy Runtime",
    "package": "toy",
    "hardware": "cpu",
    "precisions": ("fp32",),
    "newest_opset": 20,
    "suffixes": (".toy",),
    "engine_file": "model.toy",
    "native_backend": None,
}


def required(kind):
    return [each.name for each in dataclasses.fields(kind) if each.default is each.default_factory]


@pytest.fixture
def state(tmp_path):
    """Return a function that reads a runtime's traits.json with some statements."""
    path = tmp_path / "toy" / "traits.json"
    path.parent.mkdir()

    def written(**statements):
        path.write_text(json.dumps(statements), encoding="utf-8")
        return read_traits(path, "toy", RuntimeTraits)

    return written


def test_all_that_is_required_is_stated_here():
    assert set(required(RuntimeTraits)) == {"name", *STATED}


def test_what_is_stated_is_found(state):
    assert state(**STATED) == RuntimeTraits(name="toy", **STATED)
    assert state(**STATED).module == "toy"
    backend = {"name": "toy", "kserve_format": "toy", "parameters": {"TOYS": "3"}}
    assert state(**STATED | {"native_backend": backend}).native_backend == NativeBackend(**backend)


@pytest.mark.parametrize("forgotten", STATED)
def test_a_forgotten_statement_is_told_by_its_name(state, forgotten):
    with pytest.raises(SlipwayError, match=rf"toy/traits\.json does not state the traits.*'{forgotten}'"):
        state(**{name: value for name, value in STATED.items() if name != forgotten})


@pytest.mark.parametrize("forgotten", required(NativeBackend))
def test_a_native_backend_states_its_name_and_what_kserve_calls_its_models(forgotten):
    stated = {"name": "toy", "kserve_format": "toy"}
    with pytest.raises(TypeError, match=forgotten):
        NativeBackend(**{name: value for name, value in stated.items() if name != forgotten})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hardware": "tpu"}, "`hardware` is 'tpu', but must be 'cpu' or 'gpu'"),
        ({"name": "toy2"}, "'name'"),
        ({"native_backend": {"name": "toy"}}, "'kserve_format'"),
        ({"colour": "red"}, "'colour'"),
    ],
)
def test_a_wrong_statement_is_told(state, wrong, words):
    with pytest.raises(SlipwayError, match=re.escape(words)):
        state(**STATED | wrong)


@pytest.mark.parametrize("text", ["", "[]", '"toy"'])
def test_a_file_without_traits_is_told(tmp_path, text):
    (tmp_path / "traits.json").write_text(text, encoding="utf-8")
    with pytest.raises(SlipwayError, match="does not state the traits of toy"):
        read_traits(tmp_path / "traits.json", "toy", RuntimeTraits)


@pytest.mark.parametrize("missing", runtimes.INTERFACE)
def test_a_missing_part_of_the_interface_is_told_by_its_name(tmp_path, monkeypatch, missing):
    package = tmp_path / f"without_{missing}"
    package.mkdir()
    defined = [f"{part} = None\n" for part in runtimes.INTERFACE if part != missing]
    (package / "__init__.py").write_text("".join(defined), encoding="utf-8")
    monkeypatch.setattr(runtimes, "__path__", [*runtimes.__path__, str(tmp_path)])
    monkeypatch.setitem(RUNTIMES, package.name, RuntimeTraits(**STATED, name=package.name))
    with pytest.raises(SlipwayError, match=f"has no `{missing}`"):
        runtime(package.name)


@pytest.mark.parametrize("name", sorted(set(RUNTIMES) - PINNED_BY_USERS))
def test_every_runtime_has_its_pin(name):
    package = RUNTIMES[name].package
    assert any(pin == package or pin.startswith(f"{package}-cu") for pin in required_packages()), package


@pytest.mark.parametrize("name", [name for name, traits in RUNTIMES.items() if traits.hardware == "cpu"])
def test_every_runtime_of_a_cpu_is_pinned_where_it_serves_to_the_version_that_builds(name):
    traits = RUNTIMES[name]
    assert traits.serving_package in required_packages(SERVING)
    assert serving_version(traits.serving_package) == package_version(traits.package)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_travels_into_a_model_repository_imports_nothing_of_slipway(name):
    assert not [file.name for file in runtime_code(name) if "slipway" in imported(file)]


def imported(file):
    """Return the packages that a file imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    return {each.split(".")[0] for each in names}


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_engine_is_keyed_on_its_runtimes_folder_and_on_no_other(name):
    others = set(RUNTIMES) - {name, RUNTIMES[name].module}
    files = CodeHashes().of_program("build_engine", name)
    assert f"scripts/slipway/runtimes/{name}/traits.json" in files
    assert not [file for file in files for other in others if f"/runtimes/{other}/" in file]


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_new_version_is_told_by_the_runtimes_title(name):
    before, now = (repr({"runtime": name, "runtime_version": version}) for version in ("1.0", "2.0"))
    assert of_settings([before], [now]) == [f"{RUNTIMES[name].title} 1.0 -> 2.0"]
