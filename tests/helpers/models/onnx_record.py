"""The record of an ONNX file, as the program that writes the file has it."""

from slipway.onnx.onnx_files import described

# The interface of a network whose batch axis is its only dynamic axis.
FIXED = {"inputs": [], "outputs": [], "axes": {}}


def onnx_record(path, interface=FIXED, **facts):
    """Return the record of an ONNX file of a checkpoint in FP32; `facts` replace entries."""
    return {
        "origin": "checkpoint",
        "weights_sha256": "0" * 64,
        "variant": "fp32",
        "fp32_bytes": path.stat().st_size,
        "interface": interface,
        "operators": {},
        "calibration": None,
        **described(path),
        **facts,
    }
