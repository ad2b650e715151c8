import dataclasses
import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import build_engine
from slipway import hardware, local_server
from slipway.config import SCHEMA, complete
from slipway.errors import SlipwayError
from slipway.plan import Plan
from slipway.runtimes import RUNTIMES
from slipway.settings import Settings
from slipway.sources import SCRIPTS, runtime_files

WITH_BF16 = "A CPU [avx2 avx512f avx512_bf16 amx_bf16] x8"
ARM_WITH_BF16 = "Neoverse-V1 [bf16 i8mm] x4"
WITHOUT_BF16 = "Old bf16 CPU [avx2] x4"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"one")
    (folder / "1.jpg").write_bytes(b"two")
    return folder


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
    assert all(Path(file).is_file() for traits in RUNTIMES.values() for file in runtime_files(traits.module))


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


def test_a_local_checkpoint_enters_by_its_content_and_not_by_its_path(tmp_path):
    for name, content in {"my.pth": b"1", "copy.pth": b"1", "new.pth": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    models = {path.stem: {"weights": str(path)} for path in tmp_path.glob("*.pth")}
    found = plan(models=models | {"b": {"weights": "IMAGENET1K_V1"}})
    assert repr(found.weights("my")) == repr(found.weights("copy")) != repr(found.weights("new"))
    assert "checkpoint_sha256" not in found.weights("b")
    assert found.weights("b")["weights"] == "IMAGENET1K_V1"


def test_photographs_enter_by_what_the_folder_holds(photographs):
    def keys():
        found = plan(accuracy={"labelled": str(photographs)}, calibration={"images": str(photographs)})
        return repr(found.accuracy("m", "cpu", "fp32")), repr(found.quantization("m"))

    before = keys()
    (photographs / "notes.txt").touch()
    assert keys() == before
    (photographs / "1.jpg").write_bytes(b"another")
    assert all(old != new for old, new in zip(before, keys(), strict=True))


def test_the_code_of_a_program_is_part_of_its_key_and_no_option():
    settings = plan().engine("cpu", "fp32")
    assert "scripts/build_engine.py" in settings["code"]
    assert "scripts/slipway/runtimes/openvino.py" in settings["code"]
    assert "scripts/slipway/runtimes/onnxruntime.py" not in settings["code"]
    assert "--code" not in str(settings)
    assert "build_engine.py" in repr(settings)


def test_the_driver_is_no_part_of_any_key(monkeypatch):
    """It is recorded; see test_gpu_monitor."""
    target = {"h100": tensorrt_target()}
    keys = [repr(plan(target).engine("h100", "fp16")), repr(plan(target).benchmark("m", "h100"))]
    assert not any("driver" in key for key in keys)


def test_the_limits_of_a_load_test_do_not_repeat_it():
    strict = plan(load_test={"p99_limit_ms": 10, "memory_limit_mb": 500})
    assert repr(strict.load_test("m", "cpu")) == repr(plan().load_test("m", "cpu"))
    assert repr(strict.selection()) != repr(plan().selection())


def test_the_limits_of_one_precision_do_not_touch_the_other():
    changed = plan(accuracy={"limits": {"bf16": {"min_cosine": 0.5}}})
    assert repr(changed.accuracy("m", "cpu", "fp32")) == repr(plan().accuracy("m", "cpu", "fp32"))
    assert repr(changed.accuracy("m", "cpu", "bf16")) != repr(plan().accuracy("m", "cpu", "bf16"))


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
    assert [settings["crop"] for settings in [*shaped, found.repository("m", "cpu")]] == [64] * 5


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
    "golden": ("make_golden", f"{IN_OUT} --weights w --weights-record r --labels l", ("m",)),
    "profile": ("profile_model", "--weights w --weights-record r --trace t --record r", ("m",)),
    "onnx": ("export_onnx", f"{IN_OUT} --weights w --weights-record r", ("m",)),
    "cast": ("cast_onnx", f"{IN_OUT} --onnx o --onnx-record r --variant fp16", ()),
    "quantization": ("quantize_onnx", f"{IN_OUT} --onnx o --onnx-record r --variant int8 --images i", ("m",)),
    "preflight": ("preflight", "--onnx o --onnx-records r --output o", ()),
    "engine": ("build_engine", "--onnx o --onnx-record r --engine e --record r", ("cpu", "bf16")),
    "benchmark": ("benchmark", "--weights w --weights-record r --engine-records e --output o", ("m", "cpu")),
    "accuracy": (
        "check_accuracy",
        "--weights w --weights-record r --labels l --golden g --engine-record e --output o",
        ("m", "cpu", "bf16"),
    ),
    "load_test": (
        "load_test",
        "--model m --engine-records e --weights-record w --labels l --table t --record r --original o --plots p",
        ("m", "cpu"),
    ),
    "reports": (
        "typeset_reports",
        "--load-test l --plots p --model m --target t --chart c --summary s --detail d",
        (),
    ),
    "selection": ("choose_configuration", "--load-test l --accuracy a --output o", ()),
    "repository": (
        "write_repository",
        "--selection s --engine-records e --weights-record w --labels l --folder f --index i",
        ("m", "cpu"),
    ),
    "manifests": (
        "write_manifests",
        "--model m --indexes i --selections s --load-tests l --arena-script a --arena b --kubernetes k --kserve s "
        "--compose-file c --record r",
        (),
    ),
    "bom": ("write_bom", "--model m --weights-record w --manifests m --output o", ()),
    "monitoring": ("write_monitoring", "--selection s --index i --rules r --dashboard d", ()),
    "signature": ("sign_repository", "--folder f --index i --signature s", ()),
    "publication": ("publish", "--model m --target t --folder f --index i --record r", ()),
    "local_server": ("deploy", "--models m --folders f --indexes i --goldens g --receipts r", ()),
    "remote": ("deploy_remote", "--results r", ()),
}


def test_every_artifact_of_the_plan_has_a_program_here():
    own = {
        name
        for name, kind in vars(Plan).items()
        if callable(kind) and kind.__annotations__.get("return") == Settings and not name.startswith("_")
    }
    assert own == set(PROGRAM_OF)


@pytest.mark.parametrize("artifact", PROGRAM_OF)
def test_a_program_reads_the_plans_settings(artifact, photographs):
    program, others, wildcards = PROGRAM_OF[artifact]
    published = {"to": "kserve", "publish": {"to": "claim"}, "signing": {"private_key": "key.pem"}}
    settings = getattr(plan(calibration={"images": str(photographs)}, deploy=published), artifact)(*wildcards)
    assert settings.pop("code")
    module = importlib.import_module(program)
    read = vars(module.parse_arguments([*shlex.split(others), *shlex.split(str(settings))]))
    for name, value in settings.items():
        expected = json.loads(value) if (artifact, name) == ("weights", "arguments") else value
        found = str(read[name]) if isinstance(read[name], Path) else read[name]
        assert found == expected, name


# Parsing the Snakefile stays cheap


@pytest.mark.parametrize(
    "module",
    ["slipway.plan", "slipway.decisions", "slipway.config", "slipway.sources", "slipway.program", "slipway.journal"],
)
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


# TensorRT's targets

NEEDED_TO_BUILD = shlex.split(
    "--runtime tensorrt --runtime-version 1 --precision fp16 --hardware h "
    "--onnx o --onnx-record r --engine e --record r"
)
H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"


def tensorrt_target(**settings):
    """Return a declared GPU target; its TensorRT is declared too, so nothing of it needs to be here."""
    return {
        "runtime": "tensorrt",
        "hardware": H100,
        "precisions": ["fp16"],
        "tensorrt": {"version": "10.13.3.9"} | settings,
    }


def test_a_declared_gpu_target_plans_on_a_machine_without_one():
    found = plan({"h100": tensorrt_target()})
    assert found.engine("h100", "fp16")["runtime_version"] == "10.13.3.9"
    assert found.runs_on_gpu("h100")
    assert found.onnx("m")["opset"] == RUNTIMES["tensorrt"].newest_opset


def test_an_undeclared_gpu_target_says_what_to_declare(monkeypatch):
    monkeypatch.setattr("slipway.hardware.gpu_identity", lambda: None)
    message = refusal(h100={"runtime": "tensorrt"})
    assert "`targets.h100.hardware` is auto, but no GPU is here" in message
    assert "compute capability 8.9" in message


@pytest.mark.parametrize(
    "change",
    [
        {"version": "10.9.0.34"},
        {"cuda": "cu12"},
        {"profiles": [{"min": 1, "opt": 4, "max": 8}]},
        {"workspace_mb": 4096},
        {"optimization_level": 5},
        {"tf32": True},
        {"tactic_sources": ["JIT_CONVOLUTIONS"]},
        {"compatibility": "hardware"},
        {"refit": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_engine_is_keyed_on_everything_that_the_builder_is_told(change):
    before, after = plan({"h100": tensorrt_target()}), plan({"h100": tensorrt_target(**change)})
    assert repr(before.engine("h100", "fp16")) != repr(after.engine("h100", "fp16"))


@pytest.mark.parametrize("change", [{"python": "/elsewhere/python"}, {"timing_cache": False}, {"max_slowdown": 0.5}])
def test_an_engine_is_not_keyed_on_where_or_how_fast_it_is_built(change):
    before, after = plan({"h100": tensorrt_target()}), plan({"h100": tensorrt_target(**change)})
    assert repr(before.engine("h100", "fp16")) == repr(after.engine("h100", "fp16"))


def test_gates_are_options_of_tensorrts_builds_alone():
    found = plan({"h100": tensorrt_target(max_slowdown=0.1), "cpu": {"hardware": WITH_BF16}})
    options = vars(build_engine.parse_arguments(NEEDED_TO_BUILD + shlex.split(found.gates("h100", "fp16"))))
    assert options["max_slowdown"] == 0.1
    assert json.loads(options["limits"]) == found.config["accuracy"]["limits"]["fp16"]
    assert found.gates("cpu", "fp32") == ""


def test_a_targets_own_settings_win_over_the_common_ones():
    found = plan({"h100": tensorrt_target(workspace_mb=512)}, tensorrt={"workspace_mb": 1024, "tf32": True})
    assert (found.tensorrt("h100")["workspace_mb"], found.tensorrt("h100")["tf32"]) == (512, True)


def test_tensorrt_8_in_a_fleet_lowers_the_opset_for_all():
    old = tensorrt_target(version="8.5.3.1")
    assert plan({"h100": old, "cpu": {"hardware": WITH_BF16}}).onnx("m")["opset"] == 17


def test_int8_without_photographs_is_refused_before_anything_is_built():
    message = refusal(h100=tensorrt_target() | {"precisions": ["int8"]})
    assert "needs photographs to take its scales from" in message
    assert "`calibration.images`" in message


def test_tensorrt_on_a_cpu_is_refused():
    assert "needs a GPU" in refusal(cpu={"runtime": "tensorrt", "hardware": WITH_BF16, "precisions": ["fp32"]})


def test_rtx_builds_for_the_declared_generation():
    found = plan({"rtx": {"runtime": "tensorrt_rtx", "hardware": "NVIDIA L4 (compute capability 8.9)"}})
    assert json.loads(found.engine("rtx", "fp16")["builder"])["compute_capability"] == "8.9"
    assert found.timing_cache("rtx") is None


def test_preflight_tries_what_every_target_needs(photographs):
    found = plan({"h100": tensorrt_target() | {"precisions": ["bf16"]}}, calibration={"images": str(photographs)})
    assert found.preflight_variants() == ["fp32", "fp16", "int8-fp16", "bf16"]
    assert plan().preflight_variants() == ["fp32", "fp16"]


def test_a_profile_may_be_for_some_precisions_alone():
    profiles = [{"min": 1, "opt": 1, "max": 1, "precisions": ["fp16"]}, {"min": 1, "opt": 8, "max": 8}]
    found = plan({"h100": tensorrt_target(profiles=profiles) | {"precisions": ["fp32", "fp16"]}})
    listed = {name: json.loads(found.engine("h100", name)["builder"])["profiles"] for name in ("fp32", "fp16")}
    assert [len(profiles) for profiles in listed.values()] == [1, 2]
    assert listed["fp16"][0] == {"min": 1, "opt": 1, "max": 1}


def test_an_engine_without_any_profile_is_refused():
    profiles = [{"min": 1, "opt": 1, "max": 1, "precisions": ["int8"]}]
    assert "none for the fp16 engine of the target h100" in refusal(h100=tensorrt_target(profiles=profiles))


# Publishing and signing


def test_publishing_nowhere_is_refused_and_so_is_signing_without_a_key():
    with pytest.raises(SlipwayError, match=r"`deploy.publish.to` says nowhere"):
        plan().publication()
    with pytest.raises(SlipwayError, match=r"`deploy.signing.private_key` names no key"):
        plan().signature()


def test_what_is_published_is_keyed_on_where_it_goes_and_not_on_how_many_stay():
    keys = [
        repr(plan(deploy={"publish": {"to": to, "keep_versions": keep}}).publication())
        for to, keep in (("claim", 3), ("claim", 9), ("s3://bucket", 3))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_the_key_of_signatures_enters_by_its_content(tmp_path):
    def settings(name):
        found = plan(deploy={"publish": {"to": "claim"}, "signing": {"public_key": name, "private_key": "p.pem"}})
        return [repr(each) for each in (found.publication(), found.signature(), found.local_server())]

    (tmp_path / "a.pem").write_text("a")
    (tmp_path / "b.pem").write_text("a")
    before = settings("a.pem")
    assert settings("b.pem") == before
    (tmp_path / "b.pem").write_text("another")
    assert not set(settings("b.pem")) & set(before)
    with pytest.raises(SlipwayError, match=r"`deploy.signing.public_key` is 'c.pem', which does not exist"):
        settings("c.pem")


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(SlipwayError, match="holds a password") as caught:
        plan(deploy={"publish": {"to": "ftp://me:hunter2@host/models"}})
    assert "hunter2" not in str(caught.value)
