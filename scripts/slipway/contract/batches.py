"""Join samples into batches, resize or pad samples, split batches into rows, and record the sizes of samples."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from slipway.contract.contract import Contract, Tensors
from slipway.core.errors import SlipwayError


def joined(samples: Sequence[Tensors]) -> Tensors:
    """Return one batch {input: array} of several samples, joined along the batch axis. Other sizes must be equal."""
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}


def rows(tensors: Tensors, start: int, end: int) -> Tensors:
    """Return the rows `start` to `end` - 1 of a batch, as a smaller batch {name: array}."""
    return {name: array[start:end] for name, array in tensors.items()}


def batch_of(
    contract: Contract, samples: Sequence[Tensors], batch: int, axes: Mapping[str, int] | None = None
) -> Tensors:
    """Return a batch {input: array} of `batch` samples. If there are fewer `samples`, they are repeated.

    `axes` is {dynamic axis: its size} in the batch. Axes that are not in it get the contract's optimal size. See
    `resized` for the values along a longer or shorter axis. Without a batch axis, return only the first sample,
    resized.
    """
    sizes = {**contract.optimum, **(axes or {})}
    if not contract.batched:
        return resized(contract, samples[0], sizes)
    return joined([resized(contract, samples[index % len(samples)], sizes) for index in range(batch)])


def resized(contract: Contract, sample: Tensors, axes: Mapping[str, int]) -> Tensors:
    """Return a sample {input: array} whose dynamic axes have the sizes in `axes`, {axis: size}.

    Along a longer axis, the values are repeated. Along a shorter axis, the last values are left out.
    """
    batch = len(sample[contract.inputs[0].name]) if contract.batched else 1
    return {tensor.name: _repeated(sample[tensor.name], tensor.sizes(batch, axes)) for tensor in contract.inputs}


def padded(contract: Contract, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return samples [{input: array}] that are padded to the largest size of each axis, and so fit in one batch.

    The added values are the `pad` of each input. Every input whose size differs must have a `pad`.
    """
    names = [tensor.name for tensor in contract.inputs]
    largest = {name: np.max([sample[name].shape for sample in samples], axis=0) for name in names}
    return [
        {tensor.name: _filled(sample[tensor.name], largest[tensor.name], tensor.pad) for tensor in contract.inputs}
        for sample in samples
    ]


def _filled(array: np.ndarray, shape: Sequence[int], pad: float | None) -> np.ndarray:
    if array.shape == tuple(shape):
        return array
    missing = [(0, size - present) for size, present in zip(shape, array.shape, strict=True)]
    return np.pad(array, missing, constant_values=np.asarray(pad, array.dtype))


def _repeated(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    for axis, size in enumerate(shape):
        if array.shape[axis] != size:
            array = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return np.ascontiguousarray(array)


class Sizes(dict[str, list[list[int]]]):
    """The range of the sizes of many samples: {input: [[lowest, highest size] for each axis]}."""

    def including(self, sample: Tensors) -> Tensors:
        """Extend the ranges by the sizes of a sample, and return the sample unchanged."""
        for name, array in sample.items():
            ranges = self.setdefault(name, [[size, size] for size in array.shape])
            for ends, size in zip(ranges, array.shape, strict=False):  # a target may have any rank
                ends[:] = min(ends[0], size), max(ends[1], size)
        return sample

    def extremes(self, like: Tensors) -> list[Tensors]:
        """Return two samples of zeros: one has all lowest sizes, one has all highest.

        `like` is a sample with the names and dtypes of the inputs; its values and sizes are not used.
        """
        return [
            {
                name: np.broadcast_to(np.zeros((), array.dtype), [ends[end] for ends in self[name]])
                for name, array in like.items()
            }
            for end in (0, 1)
        ]


def require_taken_batches(weights: dict, sizes: Iterable[int], key: str) -> None:
    """Raise SlipwayError if a program, a file that contains its network, does not accept batches of these sizes.

    An engine would accept such batches, but its answers could not be compared with the program's. `weights` is the
    content of weights.json; its "largest_batch" is the limit, or None. `key` names the sizes in config.yaml, for the
    message.
    """
    largest = weights["largest_batch"]
    if largest and max(sizes) > largest:
        raise SlipwayError(
            f"the program takes batches of at most {largest}, but `{key}` has {max(sizes)}; lower it, or export the "
            'program with a larger torch.export.Dim("batch", max=...)'
        )


def digest_of_values(samples: Sequence[Tensors]) -> str:
    """Return one SHA-256 of the names, dtypes, shapes and values of all samples."""
    digest = hashlib.sha256()
    for sample in samples:
        for name in sorted(sample):
            digest.update(f"{name} {sample[name].dtype} {sample[name].shape} ".encode())
            digest.update(np.ascontiguousarray(sample[name]).tobytes())
    return digest.hexdigest()
