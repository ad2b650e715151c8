"""Check batch independence: a sample's answer must not depend on the other samples that Triton puts into its batch.

There are three cases. Batches of the same size, with the sample at the same position, use the same kernels. The
sample's answers may hardly differ, at any precision. Batches of different sizes may use different kernels with
different rounding. The answers may differ as much as the precision allows. A sample that was padded to another sample's
size is like the second case.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slipway.benchmark.batch_neighbours import batch_neighbours, samples_of_other_sizes
from slipway.contract.batches import joined, padded, rows
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError

Answer = Callable[[Tensors], Tensors]

# Batches of samples: 0 is the sample, other numbers are its neighbours. Each batch size has two batches with the
# sample at the same position, so that only its neighbours differ.
BATCHES = ((0, 1), (0, 2), (1, 2, 3, 0), (3, 4, 2, 0))
# The allowed distance of one sample's answers, relative to their norm, if only its neighbours differ.
MAX_BY_NEIGHBOURS = 0.01


@dataclass(frozen=True)
class Tolerance:
    """The allowed distances between a sample's answers, relative to their norm.

    `by_neighbours`: if only the other samples in the batch differ. `by_size`: if the size of the batch differs, too.
    """

    by_neighbours: float
    by_size: float


# The tolerances without configured limits: for FP32, and for fewer bits, which round more.
IN_32_BITS, IN_FEWER_BITS = Tolerance(1e-3, 1e-2), Tolerance(1e-2, 1e-1)


def tolerance_of(limits: dict[str, float]) -> Tolerance:
    """Return the tolerance of a precision. `limits` is its `accuracy.limits`, with "max_relative_error".

    Alone and in a batch, an answer may differ from PyTorch's answer by this error. So the answer alone may differ from
    the answer in a batch by twice this error.
    """
    allowed = limits["max_relative_error"]
    return Tolerance(by_neighbours=min(MAX_BY_NEIGHBOURS, allowed), by_size=2 * allowed)


def batch_distances(
    answer: Answer,
    contract: Contract,
    samples: Sequence[Tensors],
    takes: Callable[[int], bool] = lambda size: True,
    batches: Sequence[Sequence[int]] = BATCHES,
) -> dict:
    """Run the first sample alone and in batches with others; return the distances between its answers.

    `answer` maps the inputs of a batch to its outputs. `takes` says whether a batch size is accepted. `batches` has
    lists of numbers: 0 is the first sample, 1 to 4 are its neighbours (see `batch_neighbours`).

    Returns "batches", the batch sizes, and three distances relative to the answer's norm, each of the worst output.
    "by_size" is between the answer alone and the answer in a batch. "by_neighbours" is between the answers in batches
    that differ only in the neighbours. "by_padding" is between the answer alone and the answer to the padded sample; it
    is None if no sample is padded. For integers and booleans, a distance is the share of unequal values. Without a
    batch axis, the first two distances are 0. Raises SlipwayError if a batch has not as many answers as samples.
    """
    batches = [batch for batch in batches if contract.batched and takes(len(batch))]
    if not batches:
        return {"batches": [], "by_size": 0.0, "by_neighbours": 0.0, "by_padding": None}
    numbered = [samples[0], *batch_neighbours(contract, samples)]
    alone = [_answers(answer, contract, [sample])[0] for sample in numbered]
    by_size, by_neighbours = [], []
    first: dict[tuple[int, int, int], Tensors] = {}
    for batch in batches:
        together = _answers(answer, contract, [numbered[number] for number in batch])
        for position, (number, own) in enumerate(zip(batch, together, strict=True)):
            by_size.append((number, alone[number], own))
            place = len(batch), position, number
            if place in first:
                by_neighbours.append((number, first[place], own))
            first.setdefault(place, own)
    finite = all(np.isfinite(alone[0][tensor.name]).all() for tensor in contract.outputs)
    pairs = [[samples[0], other] for other in samples_of_other_sizes(contract, samples)] if takes(2) else []
    return {
        "batches": sorted({len(batch) for batch in batches}),
        "by_size": _distance(contract, alone, by_size) if finite else float("inf"),
        "by_neighbours": _distance(contract, alone, by_neighbours),
        "by_padding": max((_by_padding(answer, contract, pair) for pair in pairs), default=None),
    }


def dependence(distances: dict, tolerance: Tolerance) -> str | None:
    """Return a sentence if a sample's answer depends on its batch: a distance exceeds the tolerance; None otherwise.

    `distances` are from `batch_distances`.
    """
    if not distances["by_neighbours"] <= tolerance.by_neighbours:
        return (
            f"the answer to a sample depends on its neighbours in the batch: {distances['by_neighbours']:.2g} of its "
            f"norm apart beside other samples (allowed {tolerance.by_neighbours:g}), {distances['by_size']:.2g} from "
            "alone"
        )
    if not distances["by_size"] <= tolerance.by_size:
        sizes = " and ".join(map(str, distances["batches"]))
        return (
            f"the answer to a sample depends on the size of the batch that it is in: {distances['by_size']:.2g} of "
            f"its norm apart alone and in batches of {sizes} (allowed {tolerance.by_size:g})"
        )
    if distances["by_padding"] is not None and not distances["by_padding"] <= tolerance.by_size:
        return (
            f"the answer to a sample depends on its padding: {distances['by_padding']:.2g} of its norm apart alone and "
            f"lengthened by `pad` to another sample's size (allowed {tolerance.by_size:g}); let the network ignore the "
            "padding, or leave `pad` out of its inputs in config.yaml"
        )
    return None


def _distance(contract: Contract, alone: Sequence[Tensors], pairs: Sequence[tuple[int, Tensors, Tensors]]) -> float:
    """Return the largest distance between two answers to a sample, over all outputs and all `pairs`.

    A pair is (number of the sample, one answer, another answer). `alone` has the answer to each sample alone. The
    distance of an output is the largest of its pairs, relative to the norm of the answers `alone`. For integers and
    booleans, the distance is the mean of the pairs, since rounding alone can change one of many values. A pair is
    skipped if the sample's answer alone is not finite.
    """
    by_output = []
    for tensor in contract.outputs:
        usual = float(np.median([_norm(own[tensor.name].astype(np.float64)) for own in alone]))
        distances = [
            apart(*_common_part(tensor, one[tensor.name], other[tensor.name]), usual)
            for number, one, other in pairs
            if np.isfinite(alone[number][tensor.name]).all()
        ]
        worst = max if np.issubdtype(np.dtype(tensor.dtype), np.inexact) else np.mean
        by_output += [float(worst(distances))] if distances else []
    return max(by_output, default=0.0)


def _by_padding(answer: Answer, contract: Contract, samples: list[Tensors]) -> float:
    """Return how far the answers to padded samples are from their answers without padding.

    Each sample is run alone, and then all in one batch, for which smaller samples are padded. The distance is relative,
    as in `apart`.
    """
    alone = [_answers(answer, contract, [sample])[0] for sample in samples]
    together = _answers(answer, contract, padded(contract, samples))
    cut = [_cut_back(contract, own, contract.sizes_of(one)) for own, one in zip(together, samples, strict=True)]
    return _distance(contract, alone, [(number, alone[number], own) for number, own in enumerate(cut)])


def _cut_back(contract: Contract, outputs: Tensors, sizes: Mapping[str, int]) -> Tensors:
    """Return the outputs of one padded sample, cut to the sample's own `sizes`, {axis: size}."""
    return {
        tensor.name: outputs[tensor.name][
            tuple(slice(sizes[axis] if isinstance(axis, str) and axis != BATCH else None) for axis in tensor.shape)
        ]
        for tensor in contract.outputs
    }


def _answers(answer: Answer, contract: Contract, samples: list[Tensors]) -> list[Tensors]:
    """Run samples as one batch. Return the answer to each sample. Raise SlipwayError if the number of rows is wrong."""
    outputs = answer(joined(samples))
    for tensor in contract.outputs:
        if len(outputs[tensor.name]) != len(samples):
            raise SlipwayError(
                f"a batch of {len(samples)} samples is answered with {len(outputs[tensor.name])} rows of "
                f"{tensor.name}; each sample needs one row"
            )
    return [rows(outputs, number, number + 1) for number in range(len(samples))]


def _common_part(tensor: Tensor, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both outputs, cut to their smaller size along each axis whose size depends on the values."""
    common = tuple(
        slice(min(sizes) if declared is None else None)
        for declared, *sizes in zip(tensor.shape, one.shape, other.shape, strict=True)
    )
    return one[common], other[common]


def apart(one: np.ndarray, other: np.ndarray, usual: float = 0.0) -> float:
    """Return how far two answers are from each other: the norm of their difference / the norm of `one`.

    If `usual`, the usual norm of an answer, is larger, it takes the place of the norm of `one`. For integers and
    booleans, return the share of unequal values. For different shapes, or values that are not finite, return infinity.
    """
    if one.shape != other.shape:
        return float("inf")
    if not np.issubdtype(one.dtype, np.inexact):
        return float((one != other).mean()) if one.size else 0.0
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    one, other = one.astype(np.float64), other.astype(np.float64)
    distance, scale = _norm(one - other), max(_norm(one), usual)
    if not distance:
        return 0.0
    return distance / scale if scale else float("inf")


def _norm(output: np.ndarray) -> float:
    return float(np.linalg.norm(output.ravel()))
