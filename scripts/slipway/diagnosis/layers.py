"""Find the layers where an error begins, and rank them by the error that each layer adds.

A layer is a node of the FP32 graph. The error is that of a variant, the same graph in fewer bits.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import onnx

from slipway.diagnosis.tensors import Figures
from slipway.onnx.layers import module_of
from slipway.onnx.onnx_structure import constants_of

# The largest number of FP16. A tensor with values above an eighth of it may overflow with other inputs.
LARGEST_FP16 = 65504.0
NEAR = 1 / 8
# An error begins in a layer if the error of its outputs is more than JUMP times the error of its inputs.
JUMP = 2.0
# If more than this share of the values became 0, the kind of the error is underflow.
VANISHED = 0.01


@dataclass(frozen=True)
class LayerError:
    """The error of a layer in a lower precision: of a node's outputs and inputs, relative to the FP32 values' norm.

    `joined` are the names of the nodes before this node that the lower precision's graph fused with it, such as the
    Conv before a Relu.
    """

    node: str
    joined: tuple[str, ...]
    operator: str
    module: str | None
    kind: str  # "overflow", "underflow", or "rounding", also to the integers of a quantised layer
    error_before: float
    error_after: float
    largest: float  # largest absolute value of the outputs in FP32
    vanished: float  # share (0..1) of the values that became 0

    @property
    def added(self) -> float:
        """Return the error that the node adds, if errors are independent; infinite if the node overflows."""
        if math.isinf(self.error_after):
            return 0.0 if math.isinf(self.error_before) else math.inf
        return math.sqrt(max(0.0, self.error_after**2 - self.error_before**2))

    @property
    def begins(self) -> bool:
        """Say whether the error begins in this node: the error of its outputs is more than twice that of its inputs.

        An overflow begins in the node if its inputs have none.
        """
        return self.added > 0 and (math.isinf(self.added) or self.error_after > JUMP * self.error_before)

    def record(self) -> dict:
        """Return {name of a field: value}, for the JSON record of a diagnosis.

        An infinite error is None, since JSON has no infinity.
        """
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}

    def in_words(self) -> str:
        """Return in words: the node, the relative error of its inputs and outputs, large and vanished values."""
        words = {
            "overflow": f"overflows (FP32 has {self.largest:.3g})",
            "underflow": f"loses {self.vanished:.0%} of its values to zero",
            "rounding": "",
        }[self.kind]
        error = "" if math.isinf(self.error_after) else f"error {self.error_before:.1e} -> {self.error_after:.1e}"
        module = f" of {self.module}" if self.module else ""
        module += f" behind {', '.join(self.joined)}" if self.joined else ""
        return f"{self.node} ({self.operator}{module}): {', '.join(filter(None, [words, error]))}"


def layer_errors(base: onnx.ModelProto, figures: Mapping[str, Figures]) -> list[LayerError]:
    """Return the error of each node of the FP32 graph `base`, in the graph's order.

    `figures` are from `compare_tensors`. Nodes whose outputs were not compared are left out.
    """
    constants = constants_of(base.graph)
    compared = {name: of_tensor for name, of_tensor in figures.items() if not of_tensor.is_absent}
    passed: dict[str, float] = {}  # error of each tensor; if it was not compared, the error of its inputs
    joined: dict[str, tuple[str, ...]] = {}  # {tensor that the variant lacks: nodes that made it}
    errors = []
    for node in base.graph.node:
        inputs = [name for name in node.input if name not in constants]
        before = max((passed.get(name, 0.0) for name in inputs), default=0.0)
        nodes = tuple(dict.fromkeys(maker for name in inputs for maker in joined.get(name, ())))
        passed |= {name: compared[name].error if name in compared else before for name in node.output}
        joined |= {name: (*nodes, node.name) for name in node.output if name in figures and name not in compared}
        if outputs := [compared[name] for name in node.output if name in compared]:
            errors.append(_of_node(node, nodes, before, outputs))
    return errors


def _of_node(node: onnx.NodeProto, joined: tuple[str, ...], before: float, outputs: list[Figures]) -> LayerError:
    """Return the error of a node. `before` is the error of its inputs, `outputs` has the figures of its outputs."""
    vanished = sum(figures.vanished for figures in outputs) / max(1, sum(figures.values for figures in outputs))
    after = max(figures.error for figures in outputs)
    kind = "underflow" if vanished > VANISHED else "rounding"
    return LayerError(
        node=node.name,
        joined=joined,
        operator=node.op_type,
        module=module_of(node),
        kind="overflow" if math.isinf(after) and not math.isinf(before) else kind,
        error_before=before,
        error_after=after,
        largest=max(figures.largest for figures in outputs),
        vanished=vanished,
    )


def beginnings(errors: list[LayerError], most: int, noise: float) -> list[LayerError]:
    """Return at most `most` layers where the error begins, in the graph's order. Layers that overflow take precedence.

    `errors` are from `layer_errors`. A layer that adds at most the error `noise` is returned only if there are no other
    layers: then the error grows everywhere.
    """
    chosen = [error for error in errors if error.kind == "overflow"]
    others = sorted((error for error in errors if error.begins), key=lambda error: -error.added)
    others = [error for error in others if error.added > noise] or ([] if chosen else others)
    names = {error.node for error in (chosen + others)[:most]}
    return [error for error in errors if error.node in names]


def nodes_with_large_values(base: onnx.ModelProto, figures: Mapping[str, Figures], limit: float) -> list[str]:
    """Return the names of the nodes that read or make a tensor with values above `limit`, in the graph's order.

    `figures` are from `compare_tensors`. A node that only reads such a tensor counts, too, since a cast before the node
    would overflow.
    """
    large = {name for name, of_tensor in figures.items() if of_tensor.largest > limit}
    return [node.name for node in base.graph.node if large.intersection([*node.input, *node.output])]
