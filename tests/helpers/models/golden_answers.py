"""Golden answers of classifiers, for tests that have an input and the answer to it."""

from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.golden import Golden, Sample
from slipway.outputs.meaning import LOGITS


def golden_of(batch, logits, meaning=LOGITS):
    """Return the golden answer `logits` (1, classes) to `batch` (1, 3, H, W)."""
    taken = Tensor("input", batch.dtype.name, (BATCH, *batch.shape[1:]))
    given = Tensor("logits", logits.dtype.name, (BATCH, *logits.shape[1:]), meaning=meaning)
    return Golden(Contract((taken,), (given,)), (Sample({"input": batch}, {"logits": logits}),))
