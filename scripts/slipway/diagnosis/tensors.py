"""Compare each tensor of two graphs of a network on the same samples: the FP32 graph, and a graph of a lower precision.

Polygraphy marks the tensors and runs the graphs. Its own comparisons work in FP32, where the square of an attention
mask's -3e38 is infinite. So the figures here are summed in FP64.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from polygraphy.backend.onnx import ModifyOutputs
from polygraphy.backend.onnxrt import OnnxrtRunner

from slipway.contract.contract import Tensors
from slipway.onnx.onnx_files import session_of


@dataclass
class Figures:
    """The figures of one tensor over all samples: its FP32 values, and their distance to a lower precision's values."""

    squared_error: float = 0.0
    squared_size: float = 0.0
    largest: float = 0.0  # largest absolute value in FP32
    overflowed: int = 0  # number of values that are finite only in FP32
    vanished: int = 0  # number of values that are 0 only in fewer bits
    values: int = 0  # number of values that are finite and not 0 in FP32
    is_absent: bool = False  # the other graph lacks this tensor: its layer was fused with the next

    @property
    def error(self) -> float:
        """Return the error of the tensor: the norm of the difference / the norm of the FP32 values.

        It is infinite if a value overflowed.
        """
        if self.overflowed or not math.isfinite(self.squared_error):
            return math.inf
        if not self.squared_size:
            return math.inf if self.squared_error else 0.0
        return math.sqrt(self.squared_error / self.squared_size)

    def add(self, reference: np.ndarray, values: np.ndarray) -> None:
        """Add the values of the tensor for one sample: `reference` in FP32, `values` in the lower precision.

        Values that are not finite in FP32 are not compared.
        """
        is_finite = np.isfinite(reference)
        one, other = reference[is_finite].astype(np.float64), values[is_finite].astype(np.float64)
        here = np.isfinite(other)
        self.overflowed += int((~here).sum())
        self.vanished += int(((one != 0) & (other == 0)).sum())
        self.values += int((one != 0).sum())
        self.largest = max(self.largest, float(np.abs(one).max(initial=0)))
        self.squared_error += float(np.square(one[here] - other[here]).sum())
        self.squared_size += float(np.square(one).sum())


def compare_tensors(
    base: tuple[onnx.ModelProto, Path], other: tuple[onnx.ModelProto, Path], samples: Iterable[Tensors]
) -> dict[str, Figures]:
    """Return {tensor: figures} of the floating-point tensors of `base`, compared with the same tensors of `other`.

    `base` is the FP32 graph, `other` the graph of a lower precision, each as (model, folder of its data file). The
    inputs of the network are included, without an error. Only one sample's tensors are in memory at a time.
    """
    figures: dict[str, Figures] = {}
    tensors = {name for node in base[0].graph.node for name in node.output}
    with _runner(*base, tensors) as one, _runner(*other, tensors) as another:
        for sample in samples:
            references, answers = one.infer(dict(sample)), another.infer(dict(sample))
            for name, reference, values in [*_pairs(sample, sample), *_pairs(references, answers)]:
                figures.setdefault(name, Figures()).add(reference, values)
            for name in (name for name, values in references.items() if _is_float(values) and name not in answers):
                figures[name] = Figures(is_absent=True)
    return figures


def _runner(model: onnx.ModelProto, folder: Path, compared: set[str]) -> OnnxrtRunner:
    """Return a Polygraphy runner for the compared tensors. Other tensors may be in BF16, which NumPy does not have."""
    own = [name for node in model.graph.node for name in node.output if name in compared]
    marked = ModifyOutputs(model, outputs=own, copy=True)()
    return OnnxrtRunner(lambda: session_of(marked, folder))


def _pairs(references: Tensors, answers: Tensors) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name, reference in references.items():
        values = answers.get(name)
        if values is not None and _is_float(reference) and _is_float(values) and reference.shape == values.shape:
            yield name, reference, values


def _is_float(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"
