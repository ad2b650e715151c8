"""A key has the code that makes its artifact; growth is seen in review, as a change of code_in_keys.txt."""

import ast

import pytest
from helpers.code_in_keys import TABLE, keys_by_rule, table

from slipway.keys.code_hash import SCRIPTS, _read

KEYS = {rule: set(key["code"]) for rule, key in keys_by_rule().items()}
ALL = sorted(SCRIPTS.glob("slipway/**/*.py"))


def left_out():
    """Return the modules that say of themselves that they make no artifact."""
    return {
        path.relative_to(SCRIPTS.parent).as_posix() for path in ALL if "\nPART_OF_KEYS = False\n" in path.read_text()
    }


def test_the_files_in_each_key_are_those_that_were_reviewed():
    assert TABLE.read_text(encoding="utf-8") == table(), (
        "files came or went: `make code-in-keys`, and look at the change"
    )


def test_these_modules_alone_are_no_part_of_any_key():
    """Each one more has to be looked at: nothing that it does may change an artifact."""
    explain = ["networks/export_failures", "networks/forward_failures", "networks/user_code", "core/os_errors"]
    explain += ["runtimes/tensorrt/explain", "load_test/near_misses", "cluster/pod_diagnostics", "cluster/refusals"]
    others = ["core/cli", "core/pytorch", "core/setting_options", "keys/code_hash", "history/changes", "history/guard"]
    others += [
        "deploy/report_pages",
        "deploy/announcement",
        "classification/accuracy_shown",
        "core/torchvision_imports",
    ]
    assert left_out() == {f"scripts/slipway/{name}.py" for name in [*explain, *others]}
    assert not left_out() & set().union(*KEYS.values())


@pytest.mark.parametrize("rule", [rule for rule in KEYS if "onnx" in rule or "engine" in rule])
def test_how_a_model_is_served_is_no_part_of_onnx_and_engines(rule):
    assert not [file for file in KEYS[rule] if file.startswith(("scripts/slipway/triton/", "scripts/slipway/deploy/"))]


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_engine_of_one_runtime_has_no_code_of_another(runtime):
    others = {path.name for path in (SCRIPTS / "slipway" / "runtimes").iterdir() if path.is_dir()} - {runtime}
    assert "tensorrt" in others
    files = KEYS[f"build_engine of {runtime}"]
    assert any(file.startswith(f"scripts/slipway/runtimes/{runtime}/") for file in files)
    assert not [file for file in files for other in others if f"/runtimes/{other}/" in file]


def test_only_the_statement_at_the_top_of_a_module_leaves_it_out(tmp_path):
    module = tmp_path / "module.py"

    def read(text):
        module.write_text(text, encoding="utf-8")
        return _read(module)

    assert read("from slipway.core import records\nPART_OF_KEYS = False\n") == (None, [])
    for text in ("PART_OF_KEYS = True\n", "def f():\n    PART_OF_KEYS = False\n", "'PART_OF_KEYS = False'\n"):
        digest, imported = read(f"from slipway.core import records\n{text}")
        assert digest
        assert "scripts/slipway/core/records.py" in imported


@pytest.mark.parametrize("name", sorted(left_out()))
def test_modules_that_are_left_out_write_no_file(name):
    """They only make sentences, or start programs."""
    tree = ast.parse((SCRIPTS.parent / name).read_text(encoding="utf-8"))
    called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {
        "write_text",
        "write_bytes",
        "written_whole",
        "write_json",
        "save",
        "copy",
        "replace_file",
        "dump",
    }
