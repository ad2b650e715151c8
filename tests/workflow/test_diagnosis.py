"""A gate that fails, the diagnosis that its message names, and the list with which the gate passes, with OpenVINO."""

import json
from pathlib import Path

import pytest
import torch
from helpers.models import inaccurate_networks
from helpers.workplace import Workplace, tiny_configuration

from slipway.core import hardware
from slipway.keys.precisions import refusal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(
        bool(refusal("openvino", "1", hardware.cpu_identity(), "int8")), reason="this CPU has no int8 instructions"
    ),
]
ACCURACY, DIAGNOSIS = "results/own/cpu/own.int8.accuracy.json", "results/own/diagnosis.int8.json"
OWN = """
import numpy as np
from inaccurate_networks import Outlying

def samples():
    for values in np.random.default_rng(0).standard_normal((40, 16), np.float32):
        yield {"x": values[None]}
"""
MODEL = {
    "architecture": "own:Outlying",
    "weights": "own.pth",
    "samples": "own:samples",
    "inputs": {"x": {"shape": ["batch", 16]}},
    "calibration": {"samples": "own:samples"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    config = {**tiny_configuration(), "models": {"own": MODEL}}
    config["targets"] = {"cpu": {"runtime": "openvino", "precisions": ["int8"]}}
    place = Workplace(tmp_path_factory.mktemp("inaccurate"), config)
    torch.manual_seed(0)
    torch.save(inaccurate_networks.Outlying().state_dict(), place.path("own.pth"))
    text = Path(inaccurate_networks.__file__).read_text(encoding="utf-8")
    place.path("inaccurate_networks.py").write_text(text, encoding="utf-8")
    place.path("own.py").write_text(OWN, encoding="utf-8")
    return place


def test_the_list_that_a_diagnosis_proposes_lets_the_gate_pass(place):
    words = "snakemake --cores 1 diagnose_own` names the layers where its error begins"
    place.snakemake(ACCURACY, PYTHONPATH=".").refused("the int8 engine is not accurate enough: ", words)
    said = place.snakemake("diagnose_own", PYTHONPATH=".").succeeded().said
    record = json.loads(place.path(DIAGNOSIS).read_text(encoding="utf-8"))
    assert f"not_quantized: [{', '.join(record['proposal'])}]" in said
    assert "outlier" in {layer["module"] for layer in record["begins_in"]}
    place.configure("models.own.precisions", {"int8": {"not_quantized": record["proposal"]}})
    planned = place.snakemake("-n", ACCURACY, PYTHONPATH=".").succeeded().said
    assert "Reason: not_quantized none -> " in planned
    assert "export_onnx" not in planned
    place.snakemake(ACCURACY, PYTHONPATH=".").succeeded()
    place.configure("models.own.precisions", {"int8": {"not_quantized": ["conv9"]}})
    place.snakemake(ACCURACY, PYTHONPATH=".").refused(
        "`precisions.int8.not_quantized` names conv9, which is neither a node of the ONNX file nor a module"
    )
