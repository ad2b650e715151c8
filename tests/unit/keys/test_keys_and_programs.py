"""Each program reads its key. What a rule gives beside the settings stands here as in rules/."""

import importlib
import inspect
import json
import shlex
from pathlib import Path

import pytest
from helpers.artifacts.configured import job_keys

from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

IN_OUT = "--output o --record r"
OPTIONS_OF = {
    "sample_inputs": ("sample_inputs", IN_OUT, ("m",)),
    "fetch_weights": ("fetch_weights", f"{IN_OUT} --samples s", ("m",)),
    "take_program": ("take_program", f"{IN_OUT} --samples s --checkpoint f", ("p",)),
    "make_contract": (
        "make_contract",
        "--weights w --weights-record r --samples s --samples-record s --contract c --interface i --labels l",
        ("m",),
    ),
    "reference_outputs": (
        "reference_outputs",
        f"{IN_OUT} --weights w --weights-record r --contract c --labels l --samples s --samples-record s",
        ("m",),
    ),
    "profile_model": (
        "profile_model",
        "--weights w --weights-record r --interface i --samples s --trace t --record r",
        ("m",),
    ),
    "export_onnx": ("export_onnx", f"{IN_OUT} --weights w --weights-record r --interface i --samples s", ("m",)),
    "cast_onnx": ("cast_onnx", f"{IN_OUT} --onnx o --onnx-record r --samples s --variant fp16", ("m", "fp16")),
    "quantize_onnx": (
        "quantize_onnx",
        f"{IN_OUT} --onnx o --onnx-record r --samples s --samples-record s --variant int8 --images i",
        ("m", "int8"),
    ),
    "diagnose_precision": (
        "diagnose_precision",
        "--output o --model m --onnx o --onnx-record r --samples s --samples-record s --reference g --labels l "
        "--variant int8",
        ("m", "int8"),
    ),
    "preflight_onnx": ("preflight_onnx", "--onnx o --onnx-records r --output o", ()),
    "build_engine": ("build_engine", "--onnx o --onnx-record r --engine e --record r", ("cpu", "bf16")),
    "benchmark": (
        "benchmark",
        "--weights w --weights-record r --engine-records e --interface i --samples s --output o",
        ("m", "cpu"),
    ),
    "check_accuracy": (
        "check_accuracy",
        "--reference g --labels l --engine-record e --output o",
        ("m", "cpu", "bf16"),
    ),
    "evaluate_checkpoint": (
        "evaluate_checkpoint",
        "--weights w --weights-record r --contract c --labels l --evaluation e --output o",
        ("m",),
    ),
    "load_test": (
        "load_test",
        "--model m --engine-records e --weights-record w --interface i --samples s --table t --record r --original o "
        "--plots p",
        ("m", "cpu"),
    ),
    "measure_capacity": (
        "measure_capacity",
        "--load-test l --accuracy a --engine-records r --weights-record w --interface i --samples s --output o",
        ("cpu",),
    ),
    "render_load_test": (
        "render_load_test",
        "--load-test l --selection s --model m --target t --throughput-chart c --memory-chart c --summary s --detail d",
        (),
    ),
    "write_report": ("write_report", "--folder f --output o", ("m",)),
    "write_index": ("write_index", "--folder f --output o", ()),
    "record_run": ("record_run", "--folder f --output o --history h", ("m",)),
    "choose_configuration": ("choose_configuration", "--load-test l --capacity c --accuracy a --output o", ("cpu",)),
    "write_repository": (
        "write_repository",
        "--selection s --engine-records e --weights-record w --contract c --labels l --folder f --index i",
        ("m", "cpu"),
    ),
    "write_manifests": (
        "write_manifests",
        "--model m --indexes i --selections s --load-tests l --files a b --record r",
        (),
    ),
    "write_sbom": (
        "write_sbom",
        "--model m --indexes i --onnx-records o --weights-record w --manifests m --output o",
        (),
    ),
    "write_monitoring": ("write_monitoring", "--selections s --indexes i --rules r --dashboard d", ()),
    "sign_repository": ("sign_repository", "--folder f --index i --signature s", ("m", "cpu")),
    "publish_repository": ("publish_repository", "--model m --target t --folder f --index i --record r", ("m", "cpu")),
    "deploy_release": ("deploy", "--results r", ()),
}


def test_every_rule_of_the_plan_has_a_program_here():
    own = {
        name
        for name, method in inspect.getmembers(JobKeys, inspect.isfunction)
        if method.__annotations__.get("return") == JobKey and not name.startswith("_")
    }
    assert own == set(OPTIONS_OF)


@pytest.mark.parametrize("rule", OPTIONS_OF)
def test_a_program_reads_its_key(rule, photographs):
    program, others, wildcards = OPTIONS_OF[rule]
    published = {"to": "kserve", "publish": {"to": "claim"}, "signing": {"private_key": "key.pem"}}
    Path("program.onnx").write_bytes(b"a graph")
    keys = job_keys(
        models={"m": {}, "p": {"weights": "program.onnx"}},
        calibration={"images": str(photographs)},
        deploy=published,
    )
    settings = getattr(keys, rule)(*wildcards)
    assert settings.pop("code")
    module = importlib.import_module(program)
    read = vars(module.parse_arguments([*shlex.split(others), *shlex.split(str(settings))]))
    for name, value in settings.items():
        expected = json.loads(value) if isinstance(read[name], dict) else value
        found = str(read[name]) if isinstance(read[name], Path) else read[name]
        assert found == expected, name
