"""Why a precision is not accurate: real networks in real conversions, whose proposed lists pass the gate."""

import subprocess
import sys

import onnx
import pytest
import yaml
from helpers.artifacts.diagnosed import LIMITS, inputs_of, written
from helpers.models.inaccurate_networks import Outlying, Overflowing

from diagnose_precision import main, parse_arguments, show_setting
from slipway.core.artifacts import read_json
from slipway.core.user_modules import SCRIPTS

CALIBRATED = "--min-samples=8 --method=max"


def diagnosed(folder, files, variant, error, conversion=""):
    """Run the program; return its record. ModelOpt changes ONNX Runtime's quantiser, so each has its own process."""
    limits = LIMITS.format(error=error).split()
    quantized = [f"--conversion-files=--files={folder}/evaluation_inputs.npz --batched"] if "int8" in variant else []
    options = [*files, "--variant", variant, *limits, f"--conversion={conversion}", *quantized]
    if quantized:
        subprocess.run([sys.executable, SCRIPTS / "diagnose_precision.py", *options], check=True)
    else:
        main(parse_arguments(options))
    return read_json(folder / "diagnosis.json")


def test_values_beyond_fp16_are_found_and_the_list_is_proven(tmp_path, capsys):
    # The samples are small, so AutoCast itself sees nothing of the values that come later.
    files = written(tmp_path, Overflowing, inputs_of(2, 1, 0), inputs_of(12, 400, 1))
    record = diagnosed(tmp_path, files, "fp16", 0.01)
    assert "relative_error inf is above the limit 0.01" in record["problems"]
    (first,) = record["begins_in"]
    assert (first["operator"], first["module"], first["kind"]) == ("Mul", "energy", "overflow")
    assert (first["error_after"], first["largest"] > 65504) == (None, True)
    assert record["setting"] == "models.net.precisions.fp16.keep_in_fp32"
    operators = {node.name: node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    kept = {operators[name] for name in record["proposal"]}
    assert {"Mul", "ReduceMean"} <= kept
    assert "Gemm" not in kept
    assert record["problems_left"] == []
    said = capsys.readouterr().err
    assert "(Mul of energy): overflows (FP32 has" in said
    assert f"keep_in_fp32: [{', '.join(record['proposal'])}]" in said
    # Configured, the list makes a variant that needs nothing more; so does the module's name.
    for listed in (record["proposal"], ["energy"]):
        again = diagnosed(tmp_path, files, "fp16", 0.01, f"--keep-in-fp32 {' '.join(listed)}")
        assert (again["problems"], again["proposal"]) == ([], again["left_out_before"])
    assert "holds the limits; if an engine breaks one, its runtime" in capsys.readouterr().err


def test_the_list_is_shown_as_config_yaml_takes_it(capsys):
    names = ["/features/0/Conv", "a, b", "123", "x: y", *(f"node_conv2d_{number}" for number in range(99))]
    show_setting("models.net.precisions.fp16.keep_in_fp32", names)
    _, *lines = capsys.readouterr().err.splitlines()
    shown = yaml.safe_load("\n".join(lines))
    assert shown == {"models": {"net": {"precisions": {"fp16": {"keep_in_fp32": names}}}}}


@pytest.mark.long
@pytest.mark.parametrize("variant", ["int8", "int8-onnxruntime"])
def test_a_channel_of_another_size_spoils_a_quantised_layer(tmp_path, variant):
    files = written(tmp_path, Outlying, inputs_of(2, 1, 0), inputs_of(12, 1, 1))
    record = diagnosed(tmp_path, files, variant, 0.05, CALIBRATED)
    assert record["problems"]
    # ONNX Runtime's layers are quantised behind them, too, so that there the error begins a layer earlier.
    expected = "node_conv2d_1" if variant == "int8" else "node_conv2d"
    assert expected in {name for layer in record["begins_in"] for name in (layer["node"], *layer["joined"])}
    assert record["setting"] == "models.net.precisions.int8.not_quantized"
    assert expected in record["proposal"]
    assert "node_conv2d_2" not in record["proposal"]
    listed = " ".join(record["proposal"])
    again = diagnosed(tmp_path, files, variant, 0.05, f"{CALIBRATED} --not-quantized {listed}")
    assert (again["problems"], again["left_out_before"]) == ([], record["proposal"])


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_without_any_list_that_helps_this_is_said(tmp_path, capsys, variant):
    files = written(tmp_path, Overflowing, inputs_of(2, 1, 0), inputs_of(4, 1, 1))
    record = diagnosed(tmp_path, files, variant, 1e-12)
    assert (record["proposal"], bool(record["problems_left"])) == (None, True)
    assert "no list of layers was found" in capsys.readouterr().err
