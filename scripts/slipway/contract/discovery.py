"""Find the contract of a network: its inputs from samples and config.yaml, its outputs from runs at several sizes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from slipway.contract.batches import batch_of
from slipway.contract.contract import BATCH, Axis, Contract, Tensor, Tensors
from slipway.contract.input_discovery import inputs_of
from slipway.contract.network import ServedNetwork, dtypes_of, outputs_of, rows_differ
from slipway.contract.unused_inputs import unused_inputs
from slipway.core.errors import SlipwayError, amended, listed
from slipway.outputs.meaning import STATED, Meaning
from slipway.outputs.variation import stacked

# A batch size that no other axis of a network is likely to have.
_BATCH = 3
# The number of samples of the same sizes to run, to see whether the sizes of outputs depend on values.
_ALIKE = 3
# The largest rounding of a float64 output to float32, relative to the differences between the answers to samples.
_MOST_LOST = 0.01


def find_contract(
    model: torch.nn.Module, samples: Sequence[Tensors], stated: Mapping[str, Any], extremes: Sequence[Tensors] = ()
) -> Contract:
    """Return the contract of a network. Its inputs are found in real samples, its outputs by runs of the network.

    `stated` has the entries `inputs`, `axes` and `outputs` of a model in config.yaml; each may be absent or None.
    `extremes` are two further samples, with the lowest and the highest sizes of all samples; their values are never
    used. An output with a stated meaning other than `tensor` must have the shape (batch, scores). Raises SlipwayError
    with the lines to add to config.yaml if a fact is neither stated nor found, and with the reason if the network
    cannot be served.
    """
    axes = {name: Axis(**sizes) for name, sizes in (stated.get("axes") or {}).items()}
    inputs = inputs_of(model, [*samples, *extremes], stated.get("inputs") or {}, axes)
    _require_axes("input", inputs)
    given = Contract(inputs, (), axes)
    for sample in (*samples, *extremes):
        given.sizes_of(sample)
    meanings: Mapping[str, str | None] = stated.get("outputs") or {}
    network = ServedNetwork(model, Contract(inputs, tuple(Tensor(name, "", ()) for name in meanings), axes))
    runs = list(_runs(network, given, samples))
    outputs = _outputs(given, runs)
    _require_axes("output", outputs)
    _require_other_names(inputs, outputs)
    _require_use(network, samples[0])
    _require_float32_to_suffice(network, samples)
    explained = (
        replace(tensor, meaning=_meaning(network, tensor, meanings.get(tensor.name), runs)) for tensor in outputs
    )
    return Contract(inputs, tuple(explained), axes)


class _Run:
    """One run of the network: its inputs, {axis: size}, and its outputs."""

    def __init__(self, network: ServedNetwork, contract: Contract, inputs: Tensors) -> None:
        self.inputs, self.sizes = inputs, contract.sizes_of(inputs)
        self.outputs = outputs_of(network, contract, inputs)


def _runs(network: ServedNetwork, contract: Contract, samples: Sequence[Tensors]) -> Iterator[_Run]:
    """Run the network at several sizes, to see how the shapes of its outputs follow from the sizes. Yield each run.

    The runs: samples of each size, a batch of samples, and each dynamic axis at its smallest, optimal and largest size.
    Without a batch axis, no batch is run.
    """
    for inputs in _of_each_size(contract, samples):
        yield _Run(network, contract, inputs)
    trials = {
        f"with the axis {name} at {size} (`axes.{name}`)": (1, {name: size})
        for name, axis in contract.axes.items()
        for size in axis.ends
    }
    if contract.batched:
        trials = {f"in a batch of {_BATCH}": (_BATCH, contract.sizes_of(samples[0])), **trials}
    for words, (batch, axes) in trials.items():
        with amended(f"the network takes the samples, but not {words}: "):
            run = _Run(network, contract, batch_of(contract, samples, batch, axes))
        yield run


def _of_each_size(contract: Contract, samples: Sequence[Tensors]) -> list[Tensors]:
    by_size: dict[tuple, list[Tensors]] = {}
    for sample in samples:
        by_size.setdefault(tuple(sorted(contract.sizes_of(sample).items())), []).append(sample)
    return [sample for alike in by_size.values() for sample in alike[:_ALIKE]]


def _outputs(contract: Contract, runs: Sequence[_Run]) -> list[Tensor]:
    names = list(runs[0].outputs)
    for run in runs:
        if list(run.outputs) != names:
            raise SlipwayError(
                f"the network answers with the outputs {', '.join(names)}, but with {', '.join(run.outputs)} for "
                f"another input: their number varies, which no graph can have; let `architecture` name a factory that "
                "wraps the network in a module which always returns the same tensors"
            )
    return [_output(contract, name, runs) for name in names]


def _output(contract: Contract, name: str, runs: Sequence[_Run]) -> Tensor:
    arrays = [run.outputs[name] for run in runs]
    dtypes = sorted({str(array.dtype) for array in arrays})
    if len(dtypes) > 1:
        raise SlipwayError(
            f"the output {name} of the network is {' or '.join(dtypes)}, depending on the input; let the network "
            "always return the same dtype"
        )
    for run, array in zip(runs, arrays, strict=True):
        if contract.batched and array.shape[:1] != (run.sizes[BATCH],):
            raise SlipwayError(rows_differ(name, run.sizes[BATCH], array.shape))
    ranks = sorted({str(array.ndim) for array in arrays})
    if len(ranks) > 1:
        raise SlipwayError(
            f"the output {name} of the network has {' or '.join(ranks)} axes, depending on the input; let the network "
            "always return the same number (no squeeze() without a dimension)"
        )
    if not any(array.size for array in arrays):
        raise SlipwayError(
            f"the output {name} of the network is empty for every sample (shape {arrays[0].shape}), so nothing could "
            "be proven; give samples for which it has values, or leave it out by `outputs` of the model in config.yaml"
        )
    return Tensor(name, dtypes[0], tuple(_size(contract, name, axis, runs) for axis in range(arrays[0].ndim)))


def _size(contract: Contract, name: str, axis: int, runs: Sequence[_Run]) -> int | str | None:
    """Return the entry for an axis of an output in `Tensor.shape`: BATCH, a size, a dynamic axis's name, or None."""
    if contract.batched and axis == 0:
        return BATCH
    sizes = [run.outputs[name].shape[axis] for run in runs]
    if len(set(sizes)) == 1:
        return sizes[0]
    return next((named for named in contract.axes if sizes == [run.sizes[named] for run in runs]), None)


def _require_axes(side: str, tensors: Sequence[Tensor]) -> None:
    """Raise SlipwayError if a tensor is a single number without axes, because Triton serves no such tensors."""
    if numbers := [tensor.name for tensor in tensors if not tensor.shape]:
        leave_out = ", or leave it out by `outputs` of the model in config.yaml" if side == "output" else ""
        raise SlipwayError(
            f"the {side} {listed(numbers, 3)} of the network has no axis, and Triton serves no such tensors; let the "
            f"network {'return' if side == 'output' else 'take'} it with one axis of size 1{leave_out}"
        )


def _require_other_names(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Raise SlipwayError if an output has the same name as an input, because no graph can have this."""
    names = {tensor.name for tensor in inputs}
    if both := [tensor.name for tensor in outputs if tensor.name in names]:
        renamed = ", ".join(f"{tensor.name}_out: tensor" for tensor in outputs)
        raise SlipwayError(
            f"the network has {listed(both, 3)} both as an input and as an output, which no graph can have; give every "
            f"output a name of its own in config.yaml, `outputs: {{{renamed}}}`"
        )


def _require_use(network: ServedNetwork, sample: Tensors) -> None:
    if unused := unused_inputs(network, sample):
        raise SlipwayError(
            f"the outputs of the network do not depend on {listed(unused, 5)}; leave it out of the samples and of "
            "`inputs` in config.yaml, name it in `targets` of `metric` if only that reads it, or look at the network's "
            "forward, which may not use it in eval mode"
        )


def _require_float32_to_suffice(network: ServedNetwork, samples: Sequence[Tensors]) -> None:
    """Raise SlipwayError if float32 cannot tell the answers of a float64 output apart, such as seconds since 1970."""
    names = [name for name, dtype in dtypes_of(network, samples[0]).items() if dtype == "float64"]
    runs = [network.run(sample) for sample in samples] if names else []
    for name in names:
        values = stacked([run[name].detach().numpy() for run in runs])
        differences = np.linalg.norm(values - values.mean(axis=0))
        if np.linalg.norm(values.astype(np.float32) - values) > _MOST_LOST * differences > 0:
            raise SlipwayError(
                f"the output {name} of the network is float64, and its answers to the samples differ by less than "
                "float32 can hold, in which floating-point outputs are served; let the network return the difference "
                "to a fixed number, or whole numbers (int64)"
            )


def _meaning(network: ServedNetwork, output: Tensor, stated: str | None, runs: Sequence[_Run]) -> Meaning:
    """Return the meaning of an output. `stated` is its meaning in config.yaml, or None.

    Raises SlipwayError if the network contradicts the stated meaning.
    """
    if stated in (None, "tensor"):
        return Meaning("tensor", reason=STATED if stated else "")
    from slipway.classification.output_meaning import find_meaning, last_operation

    two_axes = len(output.shape) == 2 and isinstance(output.shape[1], int) and output.shape[0] == BATCH
    if not two_axes or output.dtype != "float32":
        raise SlipwayError(
            f"config.yaml says `outputs.{output.name}: {stated}`, but {output.in_words()} is not of floating-point "
            f"numbers (batch, scores); say `{output.name}: tensor`"
        )
    last = last_operation(network, runs[0].inputs, output.name)
    rows = np.concatenate([run.outputs[output.name] for run in runs])
    with amended(f"the output {output.name}: "):
        return find_meaning(stated, last, rows, None, f"outputs.{output.name}")
