"""Calibrate on samples; inspect and convert a quantised ONNX graph: Q/DQ nodes, invalid scales, older opset."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import CalibrationDataReader

from slipway.contract.contract import Tensors
from slipway.core.cli import progress
from slipway.onnx.onnx_files import opset_of, renumbered
from slipway.onnx.onnx_structure import constants_of

COMPUTE = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_Q, _DQ = "QuantizeLinear", "DequantizeLinear"


class SampleReader(CalibrationDataReader):
    """Calibration data for ONNX Runtime and ModelOpt: one sample at a time, since samples may differ in size."""

    def __init__(self, samples: list[Tensors]) -> None:
        self._samples = samples
        self.rewind()

    def get_next(self) -> Tensors | None:
        """Return the next sample; None after the last one.

        Progress is printed at every hundredth sample, since a calibration takes minutes.
        """
        number, sample = next(self._rest, (0, None))
        if number and number % 100 == 0:
            progress(f"  {number} of {len(self._samples)} samples")
        return sample

    def get_first(self) -> Tensors:
        """Return the first sample, and do not advance. ModelOpt runs the model on this sample once."""
        return self._samples[0]

    def rewind(self) -> None:
        """Begin with the first sample again."""
        self._rest = iter(enumerate(self._samples))


@dataclass(frozen=True)
class Quantized:
    """The quantised nodes of a graph: counts, and the names of nodes with a defect.

    `compute_nodes`: the number of convolutions and matrix products with quantised data and weights.
    `compute_nodes_left`: the names of the others. `quantize_nodes`, `dequantize_nodes`: the numbers of Q and of DQ
    nodes. `bad_scales`: the names of Q and DQ nodes whose scale is zero, negative or not finite.
    """

    compute_nodes: int
    compute_nodes_left: list[str]
    quantize_nodes: int
    dequantize_nodes: int
    bad_scales: list[str]

    @property
    def share(self) -> str:
        """Return the share of quantised compute nodes in words, such as "20 of 21"."""
        return f"{self.compute_nodes} of {self.compute_nodes + len(self.compute_nodes_left)}"


def inspect(model: onnx.ModelProto, folder: Path = Path()) -> Quantized:
    """Count a graph's quantised nodes, and find the nodes that are not quantised or have invalid scales.

    `folder` has the file of the model's external data, if there is one.
    """
    dequantized = {name for node in model.graph.node if node.op_type == _DQ for name in node.output}
    compute = [node for node in model.graph.node if node.op_type in COMPUTE]
    left = [node.name for node in compute if not dequantized.issuperset(node.input[:2])]
    quantizing = [node for node in model.graph.node if node.op_type in (_Q, _DQ)]
    constants, bad_scales = constants_of(model.graph), []
    for node in quantizing:
        scale = constants.get(node.input[1])
        values = numpy_helper.to_array(scale, str(folder)) if scale is not None else np.array(np.nan)
        if not (np.isfinite(values) & (values > 0)).all():
            bad_scales.append(node.name)
    count = Counter(node.op_type for node in quantizing)
    return Quantized(len(compute) - len(left), left, count[_Q], count[_DQ], bad_scales)


def lowered(model: onnx.ModelProto, opset: int, ir_version: int, folder: Path) -> onnx.ModelProto:
    """Return the model with an older opset and IR version, for TensorRT 8.5, which reads opset 17 and IR 8 at most.

    ModelOpt raises the opset for 16-bit scales, but with FP32 scales no node needs the newer opset. The model is
    returned unchanged if its opset is at most `opset`, or if the older model would not be valid. `folder` has the file
    of the model's external data, if there is one. A temporary model is written there.
    """
    if opset_of(model) <= opset:
        return model
    older = renumbered(model, opset)
    _axes_as_attributes(older)
    older.ir_version = ir_version
    path = folder / "lowered.onnx"
    onnx.save(older, path)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return model
    return older


def _axes_as_attributes(model: onnx.ModelProto) -> None:
    """Change the axes of ReduceMean and similar nodes from an input to an attribute, the form before opset 18."""
    constants = constants_of(model.graph)
    for node in model.graph.node:
        reduces = node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1
        if reduces and node.input[1] in constants:
            axes = numpy_helper.to_array(constants[node.input.pop()])
            node.attribute.append(onnx.helper.make_attribute("axes", axes.tolist()))
