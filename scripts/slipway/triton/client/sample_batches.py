"""Join samples into batches for a served model, and split the answers to the batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from slipway.contract.batches import joined, padded, rows
from slipway.contract.contract import BATCH, Contract, Tensors
from slipway.core.errors import SlipwayError

Ask = Callable[[Tensors], Tensors]


def answers_to(requests: Sequence[Tensors], contract: Contract, largest: int | None, ask: Ask) -> list[Tensors]:
    """Return the answer to each request, in order. The samples of requests are sent in batches of at most `largest`.

    ask(inputs) sends one batch and returns its outputs. `contract` describes the model's inputs and outputs. If the
    model has no batch axis, `largest` is None, and each request is sent unchanged. Samples of different sizes share a
    batch if the contract has a `pad` value for each input that differs; then the answers are cut to the samples' sizes.
    Raises SlipwayError if the answers to the samples of one request have different sizes.
    """
    if largest is None:
        return [ask(inputs) for inputs in requests]
    counts = [len(next(iter(inputs.values()))) for inputs in requests]
    samples = [
        rows(inputs, index, index + 1) for inputs, count in zip(requests, counts, strict=True) for index in range(count)
    ]
    answers = _answers(samples, contract, largest, ask)
    return [_together(list(islice(answers, count))) for count in counts]


def _answers(samples: Sequence[Tensors], contract: Contract, largest: int, ask: Ask) -> Iterator[Tensors]:
    for batch in _batches(samples, contract, largest):
        present = without_missing(contract, batch[0])
        outputs = ask(joined(padded(present, batch)))
        for index, sample in enumerate(batch):
            yield _own(outputs, index, len(batch), present, sample)


def _batches(samples: Sequence[Tensors], contract: Contract, largest: int) -> Iterator[list[Tensors]]:
    """Yield the samples, in their order, as lists. Each list has at most `largest` samples that fit into one batch."""
    batch: list[Tensors] = []
    for sample in samples:
        if batch and (len(batch) == largest or not _fit_together(batch[0], sample, contract)):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def _fit_together(one: Tensors, other: Tensors, contract: Contract) -> bool:
    """Say whether two samples fit into one batch: they have the same sizes, or padding does not change the answers."""
    if one.keys() != other.keys():
        return False
    inputs = without_missing(contract, one).inputs
    differing = [tensor for tensor in inputs if one[tensor.name].shape != other[tensor.name].shape]
    # If the size of an output is unknown, it is unknown which part of the output belongs to the padding of a sample.
    known = all(size is not None for tensor in contract.outputs for size in tensor.shape)
    return not differing or (known and all(tensor.pad is not None for tensor in differing))


def without_missing(contract: Contract, sample: Tensors) -> Contract:
    """Return the contract without the inputs that `sample`, {input: array}, lacks, since a model may not need them."""
    return replace(contract, inputs=tuple(tensor for tensor in contract.inputs if tensor.name in sample))


def _own(outputs: Tensors, index: int, samples: int, contract: Contract, sample: Tensors) -> Tensors:
    """Return the answer to one sample of a batch, without the part for the padding of the sample.

    `outputs` is the answer to the batch, `index` the number of the sample in it, and `sample` its inputs before the
    padding. Raises SlipwayError unless each output has `samples` rows.
    """
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != samples:
            raise SlipwayError(f"the model answers {samples} samples with {name} of the shape {array.shape}")
    sizes = {
        name: size
        for tensor in contract.inputs
        for name, size in zip(tensor.shape, sample[tensor.name].shape, strict=True)
        if isinstance(name, str) and name != BATCH
    }
    shapes = {
        tensor.name: [sizes.get(size) if isinstance(size, str) else None for size in tensor.shape]
        for tensor in contract.outputs
    }
    return {
        name: np.ascontiguousarray(array[tuple(map(slice, shapes.get(name, ())))])
        for name, array in rows(outputs, index, index + 1).items()
    }


def _together(answers: list[Tensors]) -> Tensors:
    for name in answers[0]:
        if len({answer[name].shape for answer in answers}) > 1:
            raise SlipwayError(
                f"the model answers the samples of one request with {name} of several sizes, which fit in no array; "
                'give each sample a number: name the arrays "<number>/<input>"'
            )
    return joined(answers)
