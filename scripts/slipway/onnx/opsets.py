"""Convert a foreign ONNX graph to an opset that the runtimes of all targets read, if it still answers the same."""

import traceback
from pathlib import Path

import onnx
from onnx import version_converter

from slipway.benchmark.batch_independence import apart
from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.onnx.onnx_files import opset_of, renumbered, session_of
from slipway.onnx.tidying import ir_version_of

# The conversions to other precisions, and TensorRT, read this opset and newer ones.
OLDEST_OPSET = 13
_EQUAL = 1e-4


def at_opset(model: onnx.ModelProto, newest: int, sample: Tensors, folder: Path) -> tuple[onnx.ModelProto, str]:
    """Return (the model at an opset from OLDEST_OPSET to `newest`, a sentence about the conversion or "").

    `folder` has the model's data file, if it has one. An older opset stays if the graph cannot be
    converted. Raises SlipwayError if a newer one cannot.
    """
    own = opset_of(model)
    if OLDEST_OPSET <= own <= newest:
        return model, ""
    for opset in dict.fromkeys((newest, *(known for known in (17, OLDEST_OPSET) if own < known < newest))):
        for convert in (version_converter.convert_version, _checked):
            if own < opset and convert is _checked:
                continue  # operators changed their form meanwhile
            try:
                converted = convert(model, opset)
                converted.ir_version = ir_version_of(opset)
                if _answers_alike(model, converted, sample, folder):
                    return converted, f"converted from opset {own} to {opset}"
            except Exception:  # the converter and ONNX Runtime have several exceptions
                traceback.print_exc()
    if own < OLDEST_OPSET:
        return model, f"the file has opset {own}, and no newer one computes the same: it stays"
    raise SlipwayError(
        f"the ONNX file has opset {own}, but the runtimes of all targets read {newest} at most, and its graph cannot "
        f"be converted; export it with opset {newest}, or take newer runtimes"
    )


def _checked(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    changed = renumbered(model, opset)
    onnx.checker.check_model(changed, full_check=True)
    return changed


def _answers_alike(one: onnx.ModelProto, other: onnx.ModelProto, sample: Tensors, folder: Path) -> bool:
    answers = [session_of(model, folder).run(None, sample) for model in (one, other)]
    return all(apart(own, converted) <= _EQUAL for own, converted in zip(*answers, strict=True))
