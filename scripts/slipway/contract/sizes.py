"""The sizes of the inputs in all samples of a source, of which a few alone are kept."""

import numpy as np

from slipway.contract.contract import Tensors


class Sizes(dict[str, list[list[int]]]):
    """The sizes that the inputs of many samples have: {input: [[lowest, highest] of each axis]}."""

    def including(self, sample: Tensors) -> Tensors:
        """Return a sample; its sizes are included from now on."""
        for name, array in sample.items():
            ranges = self.setdefault(name, [[size, size] for size in array.shape])
            for ends, size in zip(ranges, array.shape, strict=False):  # a target may have any rank
                ends[:] = min(ends[0], size), max(ends[1], size)
        return sample

    def extremes(self, like: Tensors) -> list[Tensors]:
        """Return a sample of the lowest sizes and one of the highest, without values and with the dtypes of another."""
        return [
            {
                name: np.broadcast_to(np.zeros((), array.dtype), [ends[end] for ends in self[name]])
                for name, array in like.items()
            }
            for end in (0, 1)
        ]
