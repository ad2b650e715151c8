"""Contracts and reference outputs of classifiers, for tests that have an engine, or an input and the answer to it."""

from slipway.contract.contract import BATCH, Contract, Normalisation, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.outputs.meaning import LOGITS

NORMALISATION = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def classifier(dtype, crop, classes, meaning=LOGITS, **facts):
    """Return the contract of a classifier of pictures (N, 3, crop, crop); those of uint8 are normalised inside."""
    normalisation = NORMALISATION if dtype == "uint8" else None
    taken = Tensor("input", dtype, (BATCH, 3, crop, crop), normalisation=normalisation)
    return Contract((taken,), (Tensor("logits", "float32", (BATCH, classes), meaning=meaning),), facts=facts)


def reference_of(batch, logits, meaning=LOGITS):
    """Return the reference outputs `logits` (1, classes) to `batch` (1, 3, crop, crop)."""
    contract = classifier(batch.dtype.name, batch.shape[-1], logits.shape[-1], meaning)
    return ReferenceOutputs(contract, (Sample({"input": batch}, {"logits": logits}),))
