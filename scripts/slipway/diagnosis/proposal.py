"""Find the layers to leave in a higher precision: rebuild a variant with more and more layers left out.

A variant is the ONNX file of a lower precision, made from the FP32 file. The search ends when the answers of the
variant hold `accuracy.limits`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from slipway.core.cli import progress
from slipway.diagnosis.layers import LARGEST_FP16, NEAR, LayerError, layer_errors, nodes_with_large_values
from slipway.diagnosis.tensors import Figures, compare_tensors

# The most variants to rebuild. Steps double, so these reach every layer of a network with up to 2^9 layers.
MOST_TRIALS = 16
# If the last step has at most FEW layers, the search tries to take back each of them alone.
FEW = 8


@dataclass(frozen=True)
class Variant:
    """A rebuilt variant: the ONNX model of a precision, in the form that ONNX Runtime computes exactly.

    `folder` has the model's data file. `left_out` are the names of the nodes that stay in a higher precision.
    """

    model: onnx.ModelProto
    folder: Path
    left_out: list[str]
    problems: list[str]  # broken limits in words; [] if the answers hold all limits


@dataclass(frozen=True)
class Search:
    """The result of a search for the layers to leave in a higher precision.

    `first` is the variant, the ONNX model of the lower precision, as configured. `errors` has the errors of its layers.
    `last` is the proposed variant: of the tried variants that hold the limits, the variant with the fewest layers left
    out. If no variant holds the limits, `last` breaks limits. `trials` is the number of rebuilt variants.
    """

    first: Variant
    errors: list[LayerError]
    last: Variant
    trials: int


def search(
    base: tuple[onnx.ModelProto, Path],
    build: Callable[[list[str]], Variant],
    samples: Callable[[], Sequence[dict]],
    already: Sequence[str] = (),
) -> Search:
    """Find the layers to leave in a higher precision, so that the model of a lower precision holds the limits.

    A variant of this model is rebuilt with more and more layers left out, until the limits hold, then with fewer of
    them. `base` is (FP32 model, folder of its data file). `build` makes and judges the variant that leaves the nodes
    with the given names in a higher precision. `samples` returns the samples, {input: array}, for comparing tensors.
    `already` are names of nodes to leave out from the start. If values overflow FP16, all nodes with large values are
    left out at once. Otherwise, the nodes that add the most error are left out first.
    """
    first = variant = build(list(already))
    figures = _figures(base, variant, samples())
    errors, trials, step = layer_errors(base[0], figures), 1, 1
    now, before = errors, variant
    while variant.problems and trials < MOST_TRIALS:
        chosen = _next(base[0], figures, now, variant, step)
        if not chosen:
            break
        before, variant = variant, build([*variant.left_out, *chosen])
        trials, step = trials + 1, 2 * step
        state = variant.problems[0] if variant.problems else "the limits hold"
        progress(f"  without {len(variant.left_out)} layers: {state}")
        if variant.problems:
            figures = _figures(base, variant, samples())
            now = layer_errors(base[0], figures)
    if variant.problems:
        return Search(first, errors, variant, trials)
    smallest, more = _smaller(before, variant, build)
    return Search(first, errors, smallest, trials + more)


def _figures(base: tuple[onnx.ModelProto, Path], variant: Variant, samples: Sequence[dict]) -> dict[str, Figures]:
    return compare_tensors(base, (variant.model, variant.folder), samples)


def _next(
    base: onnx.ModelProto, figures: dict[str, Figures], errors: list[LayerError], variant: Variant, step: int
) -> list[str]:
    """Return the names of the next nodes to leave out: all nodes with large values or, if none overflow, `step` layers.

    `figures` and `errors` are those of `variant`, the last one tried. The layers that add the most error come first.
    """
    left_out = set(variant.left_out)
    if any(math.isinf(error.error_after) for error in errors):
        for limit in (LARGEST_FP16, LARGEST_FP16 * NEAR):
            large = [name for name in nodes_with_large_values(base, figures, limit) if name not in left_out]
            if large:
                return large
    ranked = sorted((error for error in errors if error.added > 0), key=lambda error: -error.added)
    layers = [[name for name in (*error.joined, error.node) if name not in left_out] for error in ranked]
    return list(dict.fromkeys(name for layer in [layer for layer in layers if layer][:step] for name in layer))


def _smaller(before: Variant, holding: Variant, build: Callable[[list[str]], Variant]) -> tuple[Variant, int]:
    """Leave out fewer of the layers that the last step added. Return (variant, number of trials).

    `before` is the variant before this step, `holding` the one after it, which holds the limits; so does the returned
    one. A bisection finds how many of these layers must be left out. If there are at most FEW, the search then tries to
    take back each of them alone.
    """
    added = holding.left_out[len(before.left_out) :]
    fewest, most, trials = 1, len(added), 0
    while fewest < most:
        middle = (fewest + most) // 2
        tried = build([*before.left_out, *added[:middle]])
        trials += 1
        if tried.problems:
            fewest = middle + 1
        else:
            most, holding = middle, tried
    last = holding.left_out[len(before.left_out) :]
    for name in last if 1 < len(last) <= FEW else []:
        tried = build([other for other in holding.left_out if other != name])
        trials += 1
        holding = holding if tried.problems else tried
    return holding, trials
