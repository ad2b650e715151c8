"""The contract of a text model with two inputs of a dynamic length and two outputs, and reference outputs to it."""

import numpy as np

from slipway.contract.contract import Axis, Contract, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.outputs.meaning import LOGITS

TEXT = Contract(
    (
        Tensor("input_ids", "int64", ("batch", "sequence"), pad=0),
        Tensor("attention_mask", "int64", ("batch", "sequence"), pad=0),
    ),
    (Tensor("scores", "float32", ("batch", 3), meaning=LOGITS), Tensor("embedding", "float32", ("batch", 4))),
    {"sequence": Axis(1, 4, 8)},
)


def text_sample(length, seed=0):
    """Return a request of a length, without padding, and an answer to it."""
    random = np.random.default_rng(seed)
    inputs = {
        "input_ids": random.integers(1, 90, (1, length)),
        "attention_mask": np.ones((1, length), np.int64),
    }
    outputs = {"scores": random.random((1, 3), np.float32), "embedding": random.random((1, 4), np.float32)}
    return Sample(inputs, outputs)


TEXTS = ReferenceOutputs(TEXT, tuple(text_sample(length, length) for length in (3, 5, 4)))
