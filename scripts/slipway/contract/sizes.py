"""Record the lowest and highest sizes of the inputs in all samples of a source."""

import numpy as np

from slipway.contract.contract import Tensors


class Sizes(dict[str, list[list[int]]]):
    """The sizes that the inputs of many samples have: {input: [[lowest, highest] of each axis]}."""

    def including(self, sample: Tensors) -> Tensors:
        """Include the sizes of a sample, and return the sample."""
        for name, array in sample.items():
            ranges = self.setdefault(name, [[size, size] for size in array.shape])
            for ends, size in zip(ranges, array.shape, strict=False):  # a target may have any rank
                ends[:] = min(ends[0], size), max(ends[1], size)
        return sample

    def extremes(self, like: Tensors) -> list[Tensors]:
        """Return two samples without values: one of the lowest sizes, one of the highest. `like` gives the dtypes."""
        return [
            {
                name: np.broadcast_to(np.zeros((), array.dtype), [ends[end] for ends in self[name]])
                for name, array in like.items()
            }
            for end in (0, 1)
        ]
