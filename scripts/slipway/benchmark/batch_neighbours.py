"""Make samples that take the part of other clients' requests, which Triton may put into the same batch.

They are the neighbours of a sample. The same inputs always give the same samples.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from slipway.contract.batches import resized
from slipway.contract.contract import Contract, Tensor, Tensors

NEIGHBOURS = 4


def batch_neighbours(contract: Contract, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return NEIGHBOURS samples with the sizes of the first sample, to run in a batch with it.

    All differ from the first and from each other. The values of floating-point inputs and of pixels are over the range
    of the first sample: noise, low values, high values, and coarse values, the last three with a little noise. Other
    inputs keep the values of the samples, since other values may have no meaning. Their positions are permuted, in the
    same way in all inputs of a sample. The result is the same in each call.
    """
    sizes = contract.sizes_of(samples[0])
    noises = {
        tensor.name: _noise(samples[0][tensor.name], seed)
        for seed, tensor in enumerate(contract.inputs)
        if _takes_any_value(tensor)
    }
    neighbours = []
    for number in range(NEIGHBOURS):
        random = np.random.default_rng(number)
        other = resized(contract, samples[(number + 1) % len(samples)], sizes)
        order = {
            size: random.permutation(size)
            for size in sorted({size for array in other.values() for size in array.shape})
        }
        neighbours.append(
            {
                tensor.name: noises[tensor.name][number]
                if tensor.name in noises
                else _permuted(contract, tensor, other[tensor.name], order)
                for tensor in contract.inputs
            }
        )
    return neighbours


def samples_of_other_sizes(contract: Contract, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return a smaller and a larger sample than the first one, to test padding.

    There are fewer, or none, if the contract does not allow other sizes, or does not pad its inputs. The samples are
    taken from `samples`. If all samples have the same size, the two samples are made from the second sample: one is cut
    to half the size, and one is repeated to twice the size.
    """
    if not contract.axes or any(tensor.axes and tensor.pad is None for tensor in contract.inputs):
        return []
    sizes = contract.sizes_of(samples[0])
    others = [sample for sample in samples[1:] if contract.sizes_of(sample) != sizes]
    if not others:
        halved, doubled = (
            {name: int(np.clip(sizes[name] * factor, axis.min, axis.max)) for name, axis in contract.axes.items()}
            for factor in (0.5, 2)
        )
        sample = samples[1 % len(samples)]
        others = [resized(contract, sample, other) for other in (halved, doubled) if {**sizes, **other} != sizes]
    ordered = sorted(others, key=lambda sample: sum(array.size for array in sample.values()))
    return [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered


def _takes_any_value(tensor: Tensor) -> bool:
    """Say whether an input may have any value of a range: true for floating-point numbers and uint8 pixels."""
    pixels = tensor.dtype == "uint8" and (tensor.normalisation is not None or len(tensor.shape) > 2)
    return pixels or np.issubdtype(np.dtype(tensor.dtype), np.floating)


def _noise(sample: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return NEIGHBOURS arrays with the shape, dtype and range of `sample`: noise, low, high and coarse values."""
    random = np.random.default_rng(seed)
    shape = sample.shape
    noise, grain = random.uniform(0, 1, shape), random.uniform(0, 0.1, shape)
    places = np.indices(shape[2:] if len(shape) > 2 else shape[1:] or (1,))
    coarse = np.broadcast_to((places.sum(0) // 8) % 2, shape)
    shares = [noise, grain, 1 - grain, 0.1 + 0.8 * coarse + grain - 0.05]
    if sample.dtype == np.uint8:
        return [np.round(255 * share.clip(0, 1)).astype(np.uint8) for share in shares]
    low, high = sample.min(), sample.max()
    if low == high:  # the range of normalised pixels
        low, high = -2, 2.5
    return [(low + (high - low) * share).astype(sample.dtype) for share in shares]


def _permuted(contract: Contract, tensor: Tensor, array: np.ndarray, order: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return an input of a neighbour: `array` with the positions permuted along its dynamic axes.

    `order` is {size of an axis: permutation}. If the model has no dynamic axes, the positions along the last axis are
    permuted.
    """
    last = () if contract.axes else range(1, array.ndim)[-1:]
    moved = [axis for axis, name in enumerate(tensor.shape) if name in tensor.axes or axis in last]
    for axis in moved:
        array = np.take(array, order[array.shape[axis]], axis=axis)
    return array
