"""Find small values of an output that are wrong, although the output's error is within its limit.

For example, a detector returns boxes in pixels and scores from 0 to 1 in one tensor (N, 4 + scores, places). The boxes
decide the norm of this tensor. So even scores of 0 are within the limit of the relative error.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from slipway.contract.contract import Tensor

# Masked values, such as -1e9, are at least this large. All other values are smaller by the factor _FAR_SMALLER, and
# none lies between them and the masked values, which are nearly equal (_NEARLY).
_MASKED, _FAR_SMALLER, _NEARLY = 1e4, 1e-3, 0.5


def hidden_parts(
    tensors: Sequence[Tensor],
    references: Sequence[Mapping[str, np.ndarray]],
    answers: Sequence[Mapping[str, np.ndarray]],
    limit: float,
) -> list[str]:
    """Return a warning for each output with wrong small values, although the output as a whole is within `limit`.

    `tensors` are the outputs in the contract. `references` are the answers of the baseline, such as PyTorch, and
    `answers` those of the engine. Each has {output: array} for each sample. `limit` is for the relative error of the
    whole output.

    An output is divided into parts. A part has all values with one index on an axis of fixed size that is not the batch
    axis. Small parts are wrong if their own relative error is above `limit`, and if one answer for all samples would be
    as near. In an output with masked values, such as -1e30, all other values are one small part. Outputs with scores
    are left out, since their small values hardly matter.
    """
    sentences = []
    for tensor in tensors:
        if tensor.known_meaning.has_classes or not np.issubdtype(np.dtype(tensor.dtype), np.floating):
            continue
        if sentence := _beside_masked_values(tensor.name, references, answers, limit):
            sentences.append(sentence)
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


def _beside_masked_values(
    name: str, references: Sequence[Mapping[str, np.ndarray]], answers: Sequence[Mapping[str, np.ndarray]], limit: float
) -> str | None:
    """Return a warning if the output `name` has masked values, such as -1e30, and its other values are wrong.

    Return None if it has no masked values, or if the relative error of its other values is within `limit`.
    """
    pairs = [(reference[name], answer[name]) for reference, answer in zip(references, answers, strict=True)]
    if any(one.shape != other.shape or not np.isfinite(other).all() for one, other in pairs):
        return None
    reference = np.concatenate([one.ravel() for one, _ in pairs]).astype(np.float64)
    answer = np.concatenate([other.ravel() for _, other in pairs]).astype(np.float64)
    sizes = np.abs(reference)
    largest = sizes.max(initial=0)
    usual = sizes <= _FAR_SMALLER * largest
    is_masked = largest >= _MASKED and (sizes[~usual] >= _NEARLY * largest).all()
    size, error = np.linalg.norm(reference[usual]), np.linalg.norm((answer - reference)[usual])
    if not is_masked or not size or error <= limit * size:
        return None
    return (
        f"the largest values of {name} are {largest:.1g}, as in a mask, and the error of all other values, which are "
        f"far smaller, is {error / size:.2g} of their size; max_relative_error ({limit:g}) is of the whole output, and "
        "does not show it: let the network mask with a number of the usual size, or name a `metric`"
    )


def _parts(arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Return a float64 array (parts, values): for each index along `axis`, all values of all arrays.

    The other axes of the arrays may differ in size.
    """
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
