import ast
import json
import subprocess
import sys

import pytest

from slipway.keys import code_hash
from slipway.keys.code_hash import SCRIPTS, CodeHashes, _read, digest, program_file, runtime_files

REPOSITORY = SCRIPTS.parent
PROGRAMS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def code_of(name, *modules):
    return CodeHashes().of_program(name, *modules)


def test_the_program_and_what_it_imports_are_in_it():
    assert {
        "scripts/benchmark.py",
        "scripts/slipway/models/architectures.py",
        "scripts/slipway/benchmark/timing.py",
    } <= set(code_of("benchmark"))


def test_imports_are_followed_through_modules():
    tree = ast.parse((SCRIPTS / "undeploy.py").read_text(encoding="utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "slipway.core.records" not in named  # undeploy reaches it through others
    assert "scripts/slipway/core/records.py" in code_of("undeploy")


def test_another_program_that_a_program_imports_is_in_it():
    assert {"scripts/check_accuracy.py", "scripts/slipway/benchmark/metric.py"} <= set(code_of("diagnose_precision"))
    assert set(code_of("cast_onnx")) < set(code_of("diagnose_precision"))


def test_packages_around_a_module_are_in_it():
    files = code_of("deploy")
    assert "scripts/slipway/__init__.py" in files
    assert "scripts/slipway/triton/__init__.py" in files


def test_imports_relative_to_a_package_are_followed():
    listed = CodeHashes().of_program("tensorrt_worker")
    assert "scripts/slipway/runtimes/tensorrt/measuring.py" in listed
    assert "scripts/slipway/runtimes/tensorrt/device.py" in listed


def test_a_runtime_is_imported_by_name_and_listed_whole():
    assert {path.name for path in runtime_files("tensorrt")} >= {"__init__.py", "builder.py", "runner.py"}
    added = set(code_of("build_engine", "tensorrt")) - set(code_of("build_engine"))
    files = {path.relative_to(REPOSITORY).as_posix() for path in runtime_files("tensorrt")}
    assert files - added == {"scripts/slipway/runtimes/tensorrt/explain.py"}  # it only explains errors


def test_the_templates_of_a_module_are_in_it_by_their_bytes(tmp_path):
    used = {file for file in CodeHashes().of_manifests() if file.endswith(".j2")}
    templates = [*SCRIPTS.glob("slipway/manifests/*.j2"), SCRIPTS / "slipway/monitoring/rules.yaml.j2"]
    assert used == {path.relative_to(REPOSITORY).as_posix() for path in templates}
    template = tmp_path / "page.yaml.j2"
    template.write_text("# one", encoding="utf-8")
    before = _read(template)
    template.write_text("# two", encoding="utf-8")
    assert _read(template) != before


@pytest.mark.parametrize(
    ("program", "table"),
    [
        ("write_manifests", "scripts/slipway/triton/server/releases.yaml"),
        ("evaluate_checkpoint", "scripts/slipway/classification/published.json"),
    ],
)
def test_a_table_that_a_module_reads_is_in_it(program, table):
    assert table in code_of(program)


def test_an_import_inside_a_function_is_in_it():
    assert "scripts/slipway/triton/client/grpc_client.py" in code_of("status")


@pytest.mark.parametrize(
    "name",
    [
        "slipway/triton/server/tritonserver.py",
        "slipway/classification/images.py",
        "slipway/keys/job_keys.py",
        "deploy.py",
    ],
)
def test_an_unrelated_module_is_not_in_it(name):
    assert f"scripts/{name}" not in code_of("choose_configuration")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_found_from_where_snakemake_works(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / program_file(name)).resolve() == SCRIPTS / f"{name}.py"


def test_the_adapter_is_code_too():
    assert list(CodeHashes().of_adapter()) == ["scripts/slipway/triton/repository/python_backend_model.py"]


def test_one_digest_stands_for_all():
    code = code_of("build_engine", "tensorrt")
    assert digest(code) == digest(dict(reversed(code.items())))
    assert digest(code) != digest(code | {"scripts/build_engine.py": "other"})


def no_part_of_keys():
    """Return the modules that say so, and those that they import."""
    pending = [path for path in SCRIPTS.rglob("*.py") if "\nPART_OF_KEYS = False\n" in path.read_text(encoding="utf-8")]
    found = set()
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending += code_hash._imports(path, ast.parse(path.read_text(encoding="utf-8")))
    return {str(path) for path in found}


NO_PART_OF_KEYS = no_part_of_keys()
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
        listed = {str(REPOSITORY / path) for path in code_of(name)}
        assert set(imported) <= listed | NO_PART_OF_KEYS, name


def test_a_missing_program_is_an_error():
    with pytest.raises(FileNotFoundError):
        code_of("no_such_program")


# What counts as code


def digest_of(text, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    return _read(path)[0]


CODE = """def area(width, height):
    return width * height
"""


@pytest.mark.parametrize(
    "same",
    [
        CODE + "# a comment\n",
        CODE.replace("\n    return", '\n    """Return the area."""\n    return'),
        '"""A module."""\n\n\n' + CODE,
        CODE.replace("width, height)", "width,\n         height)"),
    ],
    ids=["comment", "docstring", "module docstring", "line break"],
)
def test_what_a_reader_alone_sees_is_no_code(same, tmp_path):
    assert digest_of(same, tmp_path) == digest_of(CODE, tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("*", "+"),
        CODE.replace("height)", "height=1)"),
        CODE.replace("area", "surface"),
        CODE + 'print("a text")\n',
        CODE.replace("width * height", '"width"'),
    ],
    ids=["operator", "default", "name", "statement", "text"],
)
def test_what_a_program_does_is_code(other, tmp_path):
    assert digest_of(other, tmp_path) != digest_of(CODE, tmp_path)


# The user's own architectures


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "nets"
    folder.mkdir()
    (folder / "__init__.py").write_text("from nets.small import Small\n", encoding="utf-8")
    (folder / "small.py").write_text("class Small: pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_every_file_of_the_users_package_is_code(package):
    before = CodeHashes().of_architecture("nets:Small")
    assert set(before) == {"nets/__init__.py", "nets/small.py"}
    (package / "small.py").write_text("class Small: depth = 3\n", encoding="utf-8")
    after = CodeHashes().of_architecture("nets:Small")
    assert [name for name in after if after[name] != before[name]] == ["nets/small.py"]
    assert "nets" not in sys.modules


@pytest.mark.parametrize("content", [b"class {{ name }}:\n", b"# caf\xe9\n", b"a\0"])
def test_a_file_of_it_that_is_no_python_counts_by_its_bytes(package, content):
    (package / "template.py").write_bytes(content)
    before = CodeHashes().of_architecture("nets:Small")["nets/template.py"]
    (package / "template.py").write_bytes(content + b"#")
    assert CodeHashes().of_architecture("nets:Small")["nets/template.py"] != before


@pytest.fixture
def imported(package, tmp_path):
    """Return the folder of `nets`, which imports other modules of the user in several ways."""
    sources = {
        "nets/small.py": "import json\nimport torch\nimport nowhere\nfrom layers import norm\nfrom .. import nothing\n",
        "layers/__init__.py": "",
        "layers/norm.py": "def norm():\n    from .parts.scale import scale\n    return scale\n",
        "layers/unused.py": "",
        "layers/parts/scale.py": "import helper\nscale = helper.scale\n",
        "helper.py": "import nets\nscale = 1\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_other_modules_of_the_user_that_it_imports_are_code(imported):
    own, layers = ["helper.py"], ["layers/__init__.py", "layers/norm.py", "layers/parts/scale.py"]
    before = CodeHashes().of_architecture("nets:Small")
    assert list(before) == [*own, *layers, "nets/__init__.py", "nets/small.py"]
    (imported / "helper.py").write_text("import nets\nscale = 2\n", encoding="utf-8")
    after = CodeHashes().of_architecture("nets:Small")
    assert [name for name in after if after[name] != before[name]] == own
    assert not {"nets", "layers", "helper"} & set(sys.modules)


def test_a_single_module_has_its_imports_and_installed_modules_do_not_count(imported):
    (imported / "helper-1.0.dist-info").mkdir()
    (imported / "alone.py").write_text("import nets.small, numpy\n", encoding="utf-8")
    assert list(CodeHashes().of_architecture("alone:make")) == ["alone.py"]
    (imported / "helper-1.0.dist-info").rmdir()
    assert {"alone.py", "nets/small.py", "helper.py"} < set(CodeHashes().of_architecture("alone:make"))


def test_an_installed_package_enters_by_its_version():
    (version,) = CodeHashes().of_architecture("torchvision:models.resnet18").values()
    assert version[0].isdigit()


def test_a_package_that_was_installed_to_be_edited_enters_by_its_files(package, tmp_path, monkeypatch):
    described = tmp_path / "site" / "nets-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: nets\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(described.parent)
    assert set(CodeHashes().of_architecture("nets:Small")) == {"nets/__init__.py", "nets/small.py"}


def test_a_folder_without_init_is_a_package_too(package):
    (package / "__init__.py").unlink()
    assert set(CodeHashes().of_architecture("nets.small:Small")) == {"nets/small.py"}


@pytest.mark.parametrize("architecture", ["resnet50", "not_installed_anywhere:Net"])
def test_torchvisions_classifiers_and_what_is_not_there_have_none(architecture):
    assert CodeHashes().of_architecture(architecture) == {}


def test_a_snakefile_that_is_named_by_a_path_through_a_parent_finds_the_same_code():
    through_a_parent = SCRIPTS / "slipway" / ".." / "benchmark.py"
    assert CodeHashes()._of_files(through_a_parent) == CodeHashes().of_program("benchmark")
