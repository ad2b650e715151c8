"""The programs read what the plan writes. What a rule gives beside the settings stands here as in rules/."""

import importlib
import json
import shlex
from pathlib import Path

import pytest
from helpers.artifacts.plans import plan

from slipway.planning.plan import Plan
from slipway.planning.settings import Settings

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

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
    "checkpoint_accuracy": (
        "evaluate_checkpoint",
        "--weights w --weights-record r --labels l --golden g --labelled p --output o",
        ("m",),
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
    "report_page": ("write_report", "--folder f --output o", ()),
    "selection": ("choose_configuration", "--load-test l --accuracy a --output o", ()),
    "repository": (
        "write_repository",
        "--selection s --engine-records e --weights-record w --golden-record g --labels l --folder f --index i",
        ("m", "cpu"),
    ),
    "manifests": (
        "write_manifests",
        "--model m --indexes i --selections s --load-tests l --arena-script a --arena b --kubernetes k --kserve s "
        "--compose-file c --record r",
        (),
    ),
    "bom": ("write_bom", "--model m --weights-record w --manifests m --output o", ()),
    "monitoring": ("write_monitoring", "--selections s --indexes i --rules r --dashboard d", ()),
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
