"""Check whether a picture's answer depends on its company: the other pictures that Triton puts into its batch.

There are two cases. Batches of the same size, with the picture at the same place, use the same kernels: their answers
may hardly differ, at any precision. Batches of different sizes may use different kernels with different rounding: their
answers may differ as much as the precision allows.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from slipway.core.errors import SlipwayError

# Batches of pictures: 0 is the sample, other numbers are strangers. Each place of the sample occurs twice with
# different neighbours, so that only the company differs.
BATCHES = ((0, 1), (0, 2), (1, 2, 3, 0), (3, 4, 2, 0))
STRANGERS = 4
# The allowed distance of one picture's answers, relative to their norm, if only its neighbours differ.
MAX_BY_COMPANY = 0.01


@dataclass(frozen=True)
class Tolerance:
    """The allowed distances of a picture's answers, relative to their norm: in other company, in other batch sizes."""

    by_company: float
    by_size: float


# For networks and files without configured limits: in 32 bits, and in fewer bits, which round more.
IN_32_BITS, IN_FEWER_BITS = Tolerance(1e-3, 1e-2), Tolerance(1e-2, 1e-1)


def tolerance_of(limits: dict[str, float]) -> Tolerance:
    """Return the tolerance of a precision from its `accuracy.limits`.

    Alone and in a batch, an answer may be `max_relative_error` from PyTorch's, so the two may be twice as far apart.
    """
    allowed = limits["max_relative_error"]
    return Tolerance(by_company=min(MAX_BY_COMPANY, allowed), by_size=2 * allowed)


def in_company(
    answer: Callable[[np.ndarray], np.ndarray],
    sample: np.ndarray,
    takes: Callable[[int], bool] = lambda size: True,
    batches: Sequence[Sequence[int]] = BATCHES,
) -> dict:
    """Run a sample (1, 3, H, W) and strangers, each alone and together in batches of the accepted sizes.

    `answer` maps a batch (N, 3, H, W) of the sample's dtype to outputs (N, classes). `takes` says whether a batch size
    is accepted. Returns the batch sizes and the distances of one picture's answers, relative to their norm: `by_size`
    between alone and in a batch, `by_company` between batches that differ only in its neighbours. Raises SlipwayError
    if a batch has not as many answers as pictures.
    """
    pictures = [sample, *strangers(sample)]
    batches = [batch for batch in batches if takes(len(batch))]
    if not batches:
        return {"batches": [], "by_size": 0.0, "by_company": 0.0}
    alone = [_answers(answer, [picture])[0] for picture in pictures]
    usual = float(np.median([_norm(row) for row in alone]))
    by_size, rows = 0.0 if np.isfinite(alone[0]).all() else float("inf"), defaultdict(list)
    for batch in batches:
        together = _answers(answer, [pictures[number] for number in batch])
        for position, (number, row) in enumerate(zip(batch, together, strict=True)):
            if np.isfinite(alone[number]).all():
                by_size = max(by_size, _apart(alone[number], row, usual))
                rows[len(batch), position, number].append(row)
    by_company = max((_apart(first, row, usual) for first, *others in rows.values() for row in others), default=0.0)
    return {"batches": sorted({len(batch) for batch in batches}), "by_size": by_size, "by_company": by_company}


def dependence(distances: dict, tolerance: Tolerance) -> str | None:
    """Return a sentence if the `distances` of `in_company` show that answers depend on their company, else None."""
    if not distances["by_company"] <= tolerance.by_company:
        return (
            f"the answer to a picture depends on its neighbours in the batch: {distances['by_company']:.2g} of its "
            f"norm apart beside other strangers (allowed {tolerance.by_company:g}), {distances['by_size']:.2g} from "
            "alone"
        )
    if not distances["by_size"] <= tolerance.by_size:
        sizes = " and ".join(map(str, distances["batches"]))
        return (
            f"the answer to a picture depends on the size of the batch that it is in: {distances['by_size']:.2g} of "
            f"its norm apart alone and in batches of {sizes} (allowed {tolerance.by_size:g})"
        )
    return None


def strangers(sample: np.ndarray) -> list[np.ndarray]:
    """Return STRANGERS pictures (1, 3, H, W), unlike the sample and each other, always the same ones.

    They are noise over the sample's range, and dark, bright and coarse pictures with a little noise. None is constant.
    """
    random = np.random.default_rng(0)
    shape = sample.shape
    noise, grain = random.uniform(0, 1, shape), random.uniform(0, 0.1, shape)
    coarse = np.broadcast_to((np.indices(shape[2:]).sum(0) // 8) % 2, shape)
    shares = [noise, grain, 1 - grain, 0.1 + 0.8 * coarse + grain - 0.05]
    if sample.dtype == np.uint8:
        return [np.round(255 * share.clip(0, 1)).astype(np.uint8) for share in shares]
    low, high = sample.min(), sample.max()
    if low == high:  # the range of normalised pixels
        low, high = -2, 2.5
    return [(low + (high - low) * share).astype(sample.dtype) for share in shares]


def _answers(answer: Callable[[np.ndarray], np.ndarray], pictures: list[np.ndarray]) -> np.ndarray:
    batch = np.ascontiguousarray(np.concatenate(pictures))
    rows = np.asarray(answer(batch), np.float64)
    if len(rows) != len(batch):
        raise SlipwayError(f"a batch of {len(batch)} pictures is answered with {len(rows)} rows, not one for each")
    return rows


def _apart(one: np.ndarray, other: np.ndarray, usual: float) -> float:
    """Return the distance of two answers over the norm of the first, or over the usual norm if it is larger."""
    if not np.isfinite(other).all():
        return float("inf")
    distance, scale = _norm(one - other), max(_norm(one), usual)
    if not distance:
        return 0.0
    return distance / scale if scale else float("inf")


def _norm(row: np.ndarray) -> float:
    return float(np.linalg.norm(row))
