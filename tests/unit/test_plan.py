import dataclasses
import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slipway import hardware, local_server
from slipway.config import SCHEMA, complete
from slipway.errors import SlipwayError
from slipway.plan import Plan
from slipway.runtimes import RUNTIMES
from slipway.settings import Settings
from slipway.sources import SCRIPTS, runtime_file

WITH_BF16 = "A CPU [avx2 avx512f avx512_bf16 amx_bf16] x8"
ARM_WITH_BF16 = "Neoverse-V1 [bf16 i8mm] x4"
WITHOUT_BF16 = "Old bf16 CPU [avx2] x4"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan(targets=None, models=None, **sections) -> Plan:
    config = {"models": models or {"m": {}}, "targets": targets or {"cpu": {"hardware": WITH_BF16}}, **sections}
    return Plan(complete(config))


def refusal(**targets) -> str:
    with pytest.raises(SlipwayError) as caught:
        plan(targets)
    return str(caught.value)


# Runtimes and precisions


@pytest.mark.parametrize("identity", [WITH_BF16, ARM_WITH_BF16])
def test_auto_takes_bf16_where_the_hardware_has_it(identity):
    assert plan({"cpu": {"hardware": identity}}).precisions("cpu") == ["fp32", "bf16"]


@pytest.mark.parametrize("identity", [WITHOUT_BF16, "a CPU without brackets", "A CPU [] x2"])
def test_auto_leaves_bf16_where_the_hardware_has_none(identity):
    assert plan({"cpu": {"hardware": identity}}).precisions("cpu") == ["fp32"]


def test_auto_takes_only_what_the_runtime_builds():
    assert plan({"cpu": {"hardware": WITH_BF16, "runtime": "onnxruntime"}}).precisions("cpu") == ["fp32"]


def test_a_list_is_taken_as_it_is():
    assert plan({"cpu": {"hardware": WITH_BF16, "precisions": ["bf16"]}}).precisions("cpu") == ["bf16"]


def test_bf16_on_hardware_without_it_is_refused():
    message = refusal(old={"hardware": WITHOUT_BF16, "precisions": ["fp32", "bf16"]})
    assert "`targets.old.precisions`" in message
    assert WITHOUT_BF16 in message
    assert "fp32" in message


def test_bf16_in_onnxruntime_is_refused():
    message = refusal(cpu={"hardware": WITH_BF16, "runtime": "onnxruntime", "precisions": ["bf16"]})
    assert "`targets.cpu.precisions`" in message
    assert "onnxruntime builds only fp32" in message


def test_a_second_target_is_checked_too():
    good = {"hardware": WITH_BF16, "precisions": ["bf16"]}
    assert "`targets.old.precisions`" in refusal(new=good, old={"hardware": WITHOUT_BF16, "precisions": ["bf16"]})


def test_auto_hardware_is_this_machine():
    assert plan({"cpu": {}}).hardware("cpu") == hardware.cpu_identity()


def test_declared_hardware_is_taken_as_it_is():
    assert plan().hardware("cpu") == WITH_BF16


TWO = {
    "a": {"hardware": WITH_BF16, "runtime": "openvino"},
    "b": {"hardware": WITHOUT_BF16, "runtime": "onnxruntime"},
    "c": {"hardware": WITHOUT_BF16},
}


def test_targets_of_a_runtime():
    found = plan(TWO)
    assert found.targets_of("openvino") == ["a", "c"]
    assert found.targets_of("onnxruntime") == ["b"]
    assert plan().targets_of("onnxruntime") == []


def test_all_precisions_are_those_of_any_target_once():
    assert plan(TWO).all_precisions() == ["fp32", "bf16"]
    assert plan({"b": TWO["b"], "c": TWO["c"]}).all_precisions() == ["fp32"]


def test_the_first_target_is_deployed_unless_another_is_named():
    assert plan(TWO).deployed_target == "a"
    assert plan(TWO, deploy={"target": "c"}).deployed_target == "c"


def test_every_runtime_that_may_be_configured_is_known_and_has_a_module():
    target = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["$defs"]["target"]["properties"]
    assert set(target["runtime"]["enum"]) - {"auto"} == set(RUNTIMES)
    assert all(Path(runtime_file(name)).is_file() for name in RUNTIMES)


def test_the_opset_is_one_that_every_runtime_reads(monkeypatch):
    for name, opset in {"openvino": 17, "onnxruntime": 19}.items():
        monkeypatch.setitem(RUNTIMES, name, dataclasses.replace(RUNTIMES[name], newest_opset=opset))
    assert plan(TWO).onnx("m")["opset"] == 17
    assert plan({"b": TWO["b"]}).onnx("m")["opset"] == 19


def test_notices_are_about_auto_alone():
    notices = plan(TWO).notices()
    assert [notice.split(":")[0] for notice in notices] == ["target c"]


# What artifacts are keyed on


def test_a_checkpoint_is_told_from_the_name_of_weights(tmp_path):
    path = tmp_path / "my.safetensors"
    path.touch()
    found = plan(models={"a": {"weights": str(path)}, "b": {"weights": "IMAGENET1K_V1"}, "c": {}})
    assert found.checkpoint("a") == str(path)
    assert found.checkpoint("b") is None
    assert found.checkpoint("c") is None


def test_a_local_checkpoint_is_an_input_file_and_not_a_setting(tmp_path):
    (tmp_path / "my.pth").touch()
    found = plan(models={"a": {"weights": str(tmp_path / "my.pth")}, "b": {"weights": "IMAGENET1K_V1"}})
    assert "weights" not in found.weights("a")
    assert found.weights("b")["weights"] == "IMAGENET1K_V1"


def test_the_limits_of_a_load_test_do_not_repeat_it():
    strict = plan(load_test={"p99_limit_ms": 10, "memory_limit_mb": 500})
    assert repr(strict.load_test("m", "cpu")) == repr(plan().load_test("m", "cpu"))
    assert repr(strict.selection()) != repr(plan().selection())


def test_the_limits_of_one_precision_do_not_touch_the_other():
    changed = plan(accuracy={"limits": {"bf16": {"min_cosine": 0.5}}})
    assert repr(changed.accuracy("m", "fp32")) == repr(plan().accuracy("m", "fp32"))
    assert repr(changed.accuracy("m", "bf16")) != repr(plan().accuracy("m", "bf16"))


@pytest.mark.parametrize("change", [{"hardware": ARM_WITH_BF16}, {"hardware": WITH_BF16, "runtime": "onnxruntime"}])
def test_an_engine_is_keyed_on_hardware_and_runtime(change):
    assert repr(plan({"cpu": change}).engine("cpu", "fp32")) != repr(plan().engine("cpu", "fp32"))


def test_an_engine_is_keyed_on_its_precision():
    assert repr(plan().engine("cpu", "fp32")) != repr(plan().engine("cpu", "bf16"))


def test_versions_are_those_that_are_installed():
    import torch

    assert plan().onnx("m")["torch_version"].split("+")[0] == torch.__version__.split("+")[0]


def test_the_crop_reaches_everything_that_has_the_models_shape():
    found = plan(models={"m": {"preprocess": {"crop": 64}}})
    shaped = [found.onnx("m"), found.profile("m"), found.benchmark("m", "cpu"), found.load_test("m", "cpu")]
    assert [settings["crop"] for settings in [*shaped, found.repository("m")]] == [64] * 5


def test_a_dead_server_makes_the_receipt_stale():
    before = plan().local_server()
    listening = {"http": 1, "grpc": 2, "metrics": 3, "host": "127.0.0.1"}
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    local_server.write_state(local_server.FOLDER, ended.pid, 1, listening)
    assert repr(plan().local_server()) == repr(before)
    ended.communicate()
    assert repr(plan().local_server()) != repr(before)


# The programs read what the plan writes. What a rule gives beside the settings stands here as in rules/.

IN_OUT = "--output o --record r"
PROGRAM_OF = {
    "weights": ("fetch_weights", f"{IN_OUT} --labels l", ("m",)),
    "preprocessing": ("make_golden", f"{IN_OUT} --weights w --weights-record r --labels l", ("m",)),
    "profile": ("profile_model", "--weights w --weights-record r --trace t --record r", ("m",)),
    "onnx": ("export_onnx", f"{IN_OUT} --weights w --weights-record r", ("m",)),
    "engine": ("build_engine", "--onnx o --onnx-record r --engine e --record r", ("cpu", "bf16")),
    "benchmark": ("benchmark", "--weights w --weights-record r --engine-record e --output o", ("m", "cpu")),
    "accuracy": (
        "check_accuracy",
        "--weights w --weights-record r --labels l --golden g --engine-record e --output o",
        ("m", "bf16"),
    ),
    "load_test": (
        "load_test",
        "--model m --engine-records e --weights-record w --labels l --table t --record r --original o --plots p",
        ("m", "cpu"),
    ),
    "selection": ("choose_configuration", "--load-test l --accuracy a --output o", ()),
    "repository": (
        "write_repository",
        "--selection s --engine-records e --weights-record w --labels l --folder f --index i",
        ("m",),
    ),
    "local_server": ("deploy", "--models m --folders f --indexes i --goldens g --receipts r", ()),
}


def test_every_artifact_of_the_plan_has_a_program_here():
    own = {
        name for name, kind in vars(Plan).items() if callable(kind) and kind.__annotations__.get("return") == Settings
    }
    assert own == set(PROGRAM_OF)


@pytest.mark.parametrize("artifact", PROGRAM_OF)
def test_a_program_reads_the_plans_settings(artifact):
    program, others, wildcards = PROGRAM_OF[artifact]
    settings = getattr(plan(), artifact)(*wildcards)
    module = importlib.import_module(program)
    read = vars(module.parse_arguments([*shlex.split(others), *shlex.split(str(settings))]))
    for name, value in settings.items():
        expected = json.loads(value) if (artifact, name) == ("weights", "arguments") else value
        assert read[name] == expected, name


# Parsing the Snakefile stays cheap


@pytest.mark.parametrize("module", ["slipway.plan", "slipway.config", "slipway.sources", "slipway.program"])
def test_importing_it_imports_no_framework(module):
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import {module}; "
        "print(*sorted(set(sys.modules) & {'torch', 'torchvision', 'openvino', 'onnxruntime', 'tensorrt', 'onnx', "
        "'tritonclient'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_planning_imports_no_framework():
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from slipway.config import complete\nfrom slipway.plan import Plan\n"
        "plan = Plan(complete({'models': {'m': {}}, 'targets': {'cpu': {}}}))\n"
        "plan.notices(), plan.onnx('m'), plan.engine('cpu', 'fp32'), plan.benchmark('m', 'cpu'), plan.local_server()\n"
        "print(*sorted(set(sys.modules) & {'torch', 'openvino', 'onnxruntime', 'tensorrt', 'tritonclient'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
