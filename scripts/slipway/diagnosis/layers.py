"""Name the layers where an error begins, and rank them by the error that each adds."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import onnx

from slipway.diagnosis.tensors import Figures
from slipway.onnx.layers import module_of
from slipway.onnx.onnx_structure import constants_of

# The largest number of FP16. Tensors above an eighth of it are near enough to overflow with other inputs.
LARGEST_FP16 = 65504.0
NEAR = 1 / 8
# An error begins in a layer if its outputs' error is so many times its inputs' error.
JUMP = 2.0
# From this share of values that became 0 on, an error is called underflow.
VANISHED = 0.01


@dataclass(frozen=True)
class LayerError:
    """The errors of a node's outputs and of its inputs, both relative to the FP32 values.

    `joined` are the nodes before this one that the variant joined to it, such as the Conv before a Relu.
    """

    node: str
    joined: tuple[str, ...]
    operator: str
    module: str | None
    kind: str  # "overflow", "underflow", or "rounding"; of a quantised layer rounding is that of its integers
    error_before: float
    error_after: float
    largest: float  # absolute value of its outputs in FP32
    vanished: float  # share of its values that became 0

    @property
    def added(self) -> float:
        """Return the error that the node adds, if errors are independent; infinite where it overflows."""
        if math.isinf(self.error_after):
            return 0.0 if math.isinf(self.error_before) else math.inf
        return math.sqrt(max(0.0, self.error_after**2 - self.error_before**2))

    @property
    def begins(self) -> bool:
        """Say whether the error begins in this node: its inputs have less than half of its outputs' error."""
        return self.added > 0 and (math.isinf(self.added) or self.error_after > JUMP * self.error_before)

    def record(self) -> dict:
        """Return the layer for a record. An infinite error becomes None, since JSON has no infinity."""
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}

    def in_words(self) -> str:
        """Return the layer and its error in words."""
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
    """Return the errors of the FP32 graph's nodes in its order, without nodes whose tensors were not compared."""
    constants = constants_of(base.graph)
    compared = {name: of_tensor for name, of_tensor in figures.items() if not of_tensor.is_absent}
    passed: dict[str, float] = {}  # the error of each tensor; of those that were not compared, that of their inputs
    joined: dict[str, tuple[str, ...]] = {}  # of absent tensors: the nodes that made them
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
    """Return at most `most` layers where the error begins, in the graph's order: first the layers that overflow.

    Layers that add less than `noise` are named only if there are no others: then the error grows everywhere.
    """
    chosen = [error for error in errors if error.kind == "overflow"]
    others = sorted((error for error in errors if error.begins), key=lambda error: -error.added)
    others = [error for error in others if error.added > noise] or ([] if chosen else others)
    names = {error.node for error in (chosen + others)[:most]}
    return [error for error in errors if error.node in names]


def nodes_with_large_values(base: onnx.ModelProto, figures: Mapping[str, Figures], limit: float) -> list[str]:
    """Return the nodes that read or make a tensor with values above `limit`, in the graph's order.

    A node that only reads such a tensor counts, too, because a cast before it would overflow.
    """
    large = {name for name, of_tensor in figures.items() if of_tensor.largest > limit}
    return [node.name for node in base.graph.node if large.intersection([*node.input, *node.output])]
