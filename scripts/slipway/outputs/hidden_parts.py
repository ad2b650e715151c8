"""Find wrong values of an output that its limit does not show, because other values of it are much larger.

A detector may return boxes in pixels and scores from 0 to 1 in one tensor (N, 4 + scores, places). The norm of the
tensor is that of the boxes, and scores of 0 would be within each limit of the relative error.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from slipway.contract.contract import Tensor


def hidden_parts(
    tensors: Sequence[Tensor],
    references: Sequence[Mapping[str, np.ndarray]],
    answers: Sequence[Mapping[str, np.ndarray]],
    limit: float,
) -> list[str]:
    """Return a sentence for each output with small parts that are wrong, and hidden from `limit` by larger parts.

    A part is an index along an axis with a fixed size, other than the batch axis. Small parts are wrong if their own
    relative error is above the limit, and their values are no nearer than one answer for everything. Outputs that mean
    scores are left out: there small values hardly matter.
    """
    sentences = []
    for tensor in tensors:
        if tensor.known_meaning.has_classes or not np.issubdtype(np.dtype(tensor.dtype), np.floating):
            continue
        for axis, size in enumerate(tensor.shape):
            if axis and isinstance(size, int):
                reference, answer = (
                    _parts([output[tensor.name] for output in outputs], axis) for outputs in (references, answers)
                )
                if sentence := _sentence(tensor.name, axis, reference, answer, limit):
                    sentences.append(sentence)
                    break
    return sentences


def _parts(arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Return the values of each part (parts, values) of arrays, whose other axes may differ in size."""
    rows = [np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1) for array in arrays]
    return np.concatenate(rows, axis=1).astype(np.float64)


def _sentence(name: str, axis: int, reference: np.ndarray, answer: np.ndarray, limit: float) -> str | None:
    if reference.shape != answer.shape or not np.isfinite(answer).all():
        return None
    sizes = np.linalg.norm(reference, axis=1)
    small = (sizes > 0) & (sizes <= limit * sizes.max(initial=0))
    own = reference[small]
    error, size = np.linalg.norm(answer[small] - own), np.linalg.norm(own)
    varying = np.linalg.norm(own - own.mean(axis=1, keepdims=True))
    if not size or error <= limit * size or error < varying:
        return None
    return (
        f"in {small.sum()} of the {len(small)} parts of {name} along axis {axis}, whose values are small beside the "
        f"others, the error is {error / size:.2g} of their size, no smaller than that of one answer for everything; "
        f"max_relative_error ({limit:g}) is of the whole output, and does not show it: let the network return these "
        "parts as an output of their own, or name a `metric`"
    )
