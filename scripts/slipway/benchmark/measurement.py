"""The type of a benchmark's functions that measure a subject, a baseline or an engine: `Measure`.

Such a function takes (inputs of a request, effort) and returns a measurement, {"samples_ms": {quantity: [...]},
"throughput_per_s": {streams: inferences/s}, ...}. A quantity that could not be measured is null.
"""

from collections.abc import Callable, Sequence

import numpy as np

from slipway.benchmark.timing import Effort
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors

Measure = Callable[[Tensors, Effort], dict]


def batch_size(contract: Contract, inputs: Tensors) -> int:
    """Return the number of samples in the inputs of a request; 1 without a batch axis."""
    return contract.sizes_of(inputs).get(BATCH, 1)


def in_order(tensors: Sequence[Tensor], inputs: Tensors) -> list[np.ndarray]:
    """Return the arrays of `inputs`, {name: array}, in the order of `tensors`."""
    return [inputs[tensor.name] for tensor in tensors]
