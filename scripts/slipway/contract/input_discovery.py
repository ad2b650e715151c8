"""Find the inputs of a network: names from its forward, dtypes and shapes from samples, axes from config.yaml."""

from collections.abc import Mapping, Sequence
from statistics import median_low

import numpy as np
import torch

from slipway.contract.contract import BATCH, Axis, Tensor, Tensors
from slipway.core.errors import SlipwayError, listed
from slipway.networks.calling import call_of
from slipway.networks.graph_network import FileNetwork

# Proposed names of axes: {number of axes of a tensor: {index of an axis: its name}}.
_PROPOSED = {2: {1: "length"}, 3: {1: "length", 2: "length"}, 4: {2: "height", 3: "width"}}


def inputs_of(
    model: torch.nn.Module, samples: Sequence[Tensors], stated: Mapping[str, Mapping], axes: Mapping[str, Axis]
) -> tuple[Tensor, ...]:
    """Return the inputs of a network: first those that config.yaml states, then the others in the order of `forward`.

    `stated` is `inputs` of the model in config.yaml, {input: {"shape", ...}}. `axes` are the dynamic axes that
    config.yaml names. All samples must have the same inputs, with the same dtypes and ranks. Raises SlipwayError if the
    samples or the network contradict config.yaml. If the axes of an input are not known, the message has the lines to
    add to config.yaml.
    """
    names = list(samples[0])
    if absent := [name for name in stated if name not in names]:
        raise SlipwayError(
            f"`inputs` in config.yaml has {listed(absent, 5)}, but the samples have {', '.join(names)}; correct the "
            "name, or add it to the samples"
        )
    in_order = dict.fromkeys((*stated, *call_of(model, names).names))
    arrays = {name: [sample[name] for sample in samples] for name in in_order}
    shapes = {name: stated[name]["shape"] for name in in_order if stated.get(name, {}).get("shape")}
    if isinstance(model, FileNetwork):
        shapes = _without_batch(model, arrays) | shapes
    shapes |= _found(arrays, shapes, axes)
    inputs = tuple(_input(name, arrays[name], stated.get(name, {}), shapes[name]) for name in in_order)
    if len({tensor.shape[:1] == (BATCH,) for tensor in inputs}) > 1:
        raise SlipwayError(
            f"some inputs have the batch axis and others have not ({', '.join(map(Tensor.in_words, inputs))}), but "
            "requests are put together along the first axis of all; begin the shape of each in `inputs` with `batch`, "
            "or none"
        )
    return inputs


def _without_batch(graph: FileNetwork, arrays: Mapping[str, Sequence[np.ndarray]]) -> dict[str, list[int]]:
    """Return {input: shape} for a graph with a fixed batch axis; {} for a graph whose batch axis is dynamic.

    `arrays` is {input: its array in each sample}. An input is left out if its samples differ in size.
    """
    if all(tensor.shape[:1] == (None,) or not tensor.shape for tensor in graph.inputs):
        return {}
    shapes = {name: {array.shape for array in of_input} for name, of_input in arrays.items()}
    return {name: list(next(iter(alike))) for name, alike in shapes.items() if len(alike) == 1}


def _found(
    arrays: Mapping[str, Sequence[np.ndarray]], stated: Mapping[str, Sequence], axes: Mapping[str, Axis]
) -> dict[str, list]:
    """Return {input: shape} of the inputs whose shape config.yaml does not state, found in the samples.

    `arrays` is {input: its array in each sample}, and `stated` {input: shape in config.yaml}. An entry of a shape is
    BATCH or a size. The first axis is the batch axis if it has the size 1 in every sample of every input. Raises
    SlipwayError with lines for config.yaml if sizes differ between samples, or if the samples do not show whether the
    first axis is the batch axis.
    """
    unknown = {name: [array.shape for array in arrays[name]] for name in arrays if name not in stated}
    firsts = {shape[:1] for shapes in unknown.values() for shape in shapes}
    batched = all(list(shape[:1]) == [BATCH] for shape in stated.values()) and firsts <= {(1,)}
    open_axes = {
        name: [axis for axis, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
        for name, shapes in unknown.items()
    }
    has_rows = not batched and not firsts <= {(1,)} and () not in firsts and not stated
    if has_rows or any(open_axes.values()):
        raise SlipwayError(_what_to_state(unknown, open_axes, axes, has_rows))
    return {name: ([BATCH, *shapes[0][1:]] if batched else list(shapes[0])) for name, shapes in unknown.items()}


def _what_to_state(
    shapes: Mapping[str, Sequence[tuple]], open_axes: Mapping[str, list[int]], axes: Mapping[str, Axis], rows: bool
) -> str:
    """Return the message about axes that are unknown from the samples, with the lines to add to config.yaml.

    `shapes` is {input: its shape in each sample}, `open_axes` {input: indexes of the axes whose sizes vary}. `rows` is
    True if the samples do not show whether the first axis is the batch axis.
    """
    names: dict[tuple, str] = {}  # {sizes of an axis in all samples: its proposed name}
    proposed = {}
    for name, of_input in shapes.items():
        shape: list = [BATCH, *of_input[0][1:]]
        for axis in filter(None, open_axes[name]):
            sizes = tuple(size_of_sample[axis] for size_of_sample in of_input)
            word = _PROPOSED.get(len(shape), {}).get(axis, f"{name}_{axis}")
            taken = {used for known, used in names.items() if known != sizes}
            shape[axis] = names.setdefault(sizes, f"{name}_{axis}" if word in taken else word)
        proposed[name] = f"{name}: {{shape: [{', '.join(map(str, shape))}]}}"
    ranges = [
        f"{name}: {{min: {min(sizes)}, opt: {median_low(sizes)}, max: {max(sizes)}}}"
        for sizes, name in names.items()
        if name not in axes
    ]
    lines = f"`inputs: {{{', '.join(proposed.values())}}}`"
    if ranges:
        lines += f" and `axes: {{{', '.join(ranges)}}}` (sizes of the samples; let them hold for all requests)"
    varying = [(name, axis, {shape[axis] for shape in shapes[name]}) for name in open_axes for axis in open_axes[name]]
    reasons = [
        f"axis {axis} of the input {name} has the sizes {listed([*map(str, sorted(sizes))], 4)} in the samples"
        for name, axis, sizes in varying
    ]
    if rows and not any(axis == 0 for _, axis, _ in varying):
        name, size = next((name, of_input[0][0]) for name, of_input in shapes.items() if of_input[0][0] != 1)
        reasons.insert(0, f"axis 0 of the input {name} has the size {size} in every sample")
    without = "; for a model without a batch axis, write a number or another axis in place of `batch`" if rows else ""
    return (
        f"{'; '.join(reasons[:3])}, and config.yaml does not say whether and how they may vary; add {lines} to the "
        f"model, with the names and sizes that it shall have{without}"
    )


def _input(name: str, arrays: Sequence[np.ndarray], stated: Mapping, shape: Sequence[int | str]) -> Tensor:
    dtype = str(arrays[0].dtype)
    if stated.get("dtype") not in (None, dtype):
        raise SlipwayError(
            f"the input {name} is {dtype} in the samples, but config.yaml says {stated['dtype']}; let the samples have "
            f"that dtype (.astype), or correct `inputs.{name}.dtype`"
        )
    tensor = Tensor.of({**stated, "name": name, "dtype": dtype, "shape": shape})
    for array in arrays:
        if not tensor.fits(array.shape, {}):
            raise SlipwayError(
                f"the input {name} has the shape {array.shape} in a sample, but config.yaml says "
                f"[{', '.join(map(str, shape))}]; correct `inputs.{name}.shape` or the samples"
            )
    return tensor
