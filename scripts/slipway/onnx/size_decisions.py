"""Find sizes for which a network's code takes another branch than its exported program, which has only one branch.

PyTorch's exporter runs the code with symbols as sizes. Code such as `if x.shape[1] > 20:` takes the branch of the
example. The program keeps a trace of the decision: a narrower range of the axis, or a comparison whose result is
unused.
"""

from collections.abc import Iterator, Mapping, Sequence

import sympy
import torch

from slipway.contract.contract import BATCH, Contract

# Batch sizes and distances from the example's size that are tried.
LARGEST_BATCH, FARTHEST = 64, 64


def deciding_sizes(
    program: torch.export.ExportedProgram, contract: Contract, example: Sequence[torch.Tensor]
) -> list[tuple[str, int]]:
    """Find sizes for which a network's code may compute otherwise than its exported program. Return [(axis, size)].

    For each decision of the code about a size, such as an `if`, this is the size nearest to the example's for which the
    decision has another result. `example` are the inputs that the program was exported with. Only sizes that the
    contract allows are returned. A decision may be harmless, such as one for speed, so the answers at these sizes must
    be compared.
    """
    axes = dict(_symbols(program, contract))
    allowed = {name: range(axis.min, axis.max + 1) for name, axis in contract.axes.items()}
    allowed[BATCH] = range(1, LARGEST_BATCH + 1)
    usual = {
        name: size
        for tensor, values in zip(contract.inputs, example, strict=True)
        for name, size in zip(tensor.shape, values.shape, strict=True)
        if isinstance(name, str)
    }
    sizes = [*_beyond_ranges(program, axes), *_of_comparisons(program, axes, allowed, usual)]
    return list(dict.fromkeys((name, size) for name, size in sizes if size in allowed[name]))


def _symbols(program: torch.export.ExportedProgram, contract: Contract) -> Iterator[tuple[sympy.Symbol, str]]:
    """Yield (symbol of the size, name of the axis) for each dynamic axis of the program's inputs."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for tensor, name in zip(contract.inputs, program.graph_signature.user_inputs, strict=True):
        for axis, size in zip(tensor.shape, nodes[str(name)].meta["val"].shape, strict=True):
            if isinstance(axis, str) and isinstance(size, torch.SymInt) and size.node.expr.is_Symbol:
                yield size.node.expr, axis


def _beyond_ranges(program: torch.export.ExportedProgram, axes: Mapping) -> Iterator[tuple[str, int]]:
    for symbol, values in program.range_constraints.items():
        if symbol in axes:
            yield from ((axes[symbol], int(size)) for size in (values.lower - 1, values.upper + 1) if size.is_finite)


def _of_comparisons(
    program: torch.export.ExportedProgram, axes: Mapping, allowed: Mapping[str, range], usual: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    for node in program.graph.nodes:
        comparison = node.meta.get("val")
        if isinstance(comparison, torch.SymBool) and comparison.node.expr.free_symbols <= axes.keys():
            expression = comparison.node.expr
            sizes = {symbol: usual[axes[symbol]] for symbol in expression.free_symbols}
            for symbol in sizes:
                changes = _changes(expression, symbol, allowed[axes[symbol]], sizes)
                yield from ((axes[symbol], size) for size in changes[:1])


def _changes(expression: sympy.Basic, symbol: sympy.Symbol, allowed: range, usual: Mapping) -> list[int]:
    """Return the sizes in `allowed` for which a comparison has another result than for the example's size.

    `expression` is the comparison. `usual` has {symbol: size in the example} of all its symbols; only the size of
    `symbol` is changed. The size nearest to the example's comes first.
    """
    decided, own = expression.subs(usual), usual[symbol]
    constants = {int(number) + step for number in expression.atoms(sympy.Integer) for step in (-1, 0, 1)}
    sizes = {*range(own - FARTHEST, own + FARTHEST + 1), *constants}.intersection(allowed)
    changed = [size for size in sizes if expression.subs({**usual, symbol: size}) != decided]
    return sorted(changed, key=lambda size: abs(size - own))
