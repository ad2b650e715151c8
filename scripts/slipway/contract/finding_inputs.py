"""Find the inputs of a network: names from its forward, dtypes and shapes from samples, axes from config.yaml."""

from collections.abc import Mapping, Sequence
from statistics import median_low

import numpy as np
import torch

from slipway.contract.contract import BATCH, Axis, Tensor, Tensors
from slipway.core.errors import SlipwayError, listed
from slipway.networks.calling import call_of

# Names that are proposed for axes, by the number of axes of a tensor: {number: {axis: name}}.
_PROPOSED = {2: {1: "length"}, 3: {1: "length", 2: "length"}, 4: {2: "height", 3: "width"}}


def inputs_of(
    model: torch.nn.Module, samples: Sequence[Tensors], stated: Mapping[str, Mapping], axes: Mapping[str, Axis]
) -> tuple[Tensor, ...]:
    """Return the inputs: the stated ones first, the others in the order of the parameters of the network's forward.

    Raises SlipwayError if samples differ in their inputs, if they or the network contradict config.yaml, and with the
    lines to add to config.yaml if the axes of an input are not known.
    """
    names = _names(samples, stated)
    in_order = dict.fromkeys((*stated, *call_of(model, names).names))
    arrays = {name: [sample[name] for sample in samples] for name in in_order}
    _require_axes(stated, axes)
    shapes = {name: stated[name]["shape"] for name in in_order if stated.get(name, {}).get("shape")}
    shapes |= _found(arrays, shapes, axes)
    inputs = tuple(_input(name, arrays[name], stated.get(name, {}), shapes[name]) for name in in_order)
    if len({tensor.shape[:1] == (BATCH,) for tensor in inputs}) > 1:
        raise SlipwayError(
            f"some inputs have the batch axis and others have not ({', '.join(each.in_words() for each in inputs)}), "
            "but requests are put together along the first axis of all; begin the shape of each in `inputs` with "
            "`batch`, or none"
        )
    if unused := [name for name in axes if not any(name in tensor.axes for tensor in inputs)]:
        raise SlipwayError(
            f"`axes` in config.yaml has {listed(unused, 3)}, which no input has; name it in the shape of an input, "
            "such as `inputs: {" + f"{inputs[0].name}: {{shape: [batch, {unused[0]}]}}" + "}`, or leave it out"
        )
    return inputs


def _names(samples: Sequence[Tensors], stated: Mapping[str, Mapping]) -> list[str]:
    if not samples:
        raise SlipwayError("`samples` of the model in config.yaml gives no sample; give at least one")
    names = list(samples[0])
    for index, sample in enumerate(samples):
        if set(sample) != set(names):
            raise SlipwayError(
                f"sample 0 has the inputs {', '.join(names)}, but sample {index} has {', '.join(sample)}; let every "
                "sample have the same inputs"
            )
    if absent := [name for name in stated if name not in names]:
        raise SlipwayError(
            f"`inputs` in config.yaml has {listed(absent, 5)}, but the samples have {', '.join(names)}; correct the "
            "name, or add it to the samples"
        )
    return names


def _require_axes(stated: Mapping[str, Mapping], axes: Mapping[str, Axis]) -> None:
    """Raise SlipwayError if the shape of an input names an axis without sizes, or the batch not as its first axis."""
    for name, entry in stated.items():
        shape = entry.get("shape") or []
        if BATCH in shape[1:]:
            raise SlipwayError(
                f"`inputs.{name}.shape` in config.yaml has `batch` as axis {shape.index(BATCH, 1)}, but requests are "
                "put together along the first axis; let `architecture` name a factory whose network has it there"
            )
        if unknown := [axis for axis in shape if isinstance(axis, str) and axis != BATCH and axis not in axes]:
            raise SlipwayError(
                f"`inputs.{name}.shape` in config.yaml names the axis {unknown[0]}, whose sizes are not known; add "
                f"`axes: {{{unknown[0]}: {{min: 1, opt: 64, max: 128}}}}` with the sizes that the model shall take"
            )


def _found(
    arrays: Mapping[str, Sequence[np.ndarray]], stated: Mapping[str, Sequence], axes: Mapping[str, Axis]
) -> dict[str, list]:
    """Return the shapes of the inputs without a stated one: as the samples have them, with `batch` first.

    The first axis is the batch axis if it has the size 1 in every sample of every input. Raises SlipwayError with lines
    for config.yaml if the samples leave an axis open.
    """
    unknown = {name: [array.shape for array in arrays[name]] for name in arrays if name not in stated}
    for name, shapes in unknown.items():
        if len(numbers := sorted({str(len(shape)) for shape in shapes})) > 1:
            raise SlipwayError(
                f"the input {name} has {' or '.join(numbers)} axes in the samples; let all samples have the same number"
            )
    firsts = {shape[:1] for shapes in unknown.values() for shape in shapes}
    batched = all(list(shape[:1]) == [BATCH] for shape in stated.values()) and firsts <= {(1,)}
    open_axes = {
        name: [axis for axis, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
        for name, shapes in unknown.items()
    }
    has_rows = not batched and firsts - {(1,)} and () not in firsts and not stated
    if has_rows or any(open_axes.values()):
        raise SlipwayError(_what_to_state(unknown, open_axes, axes, has_rows))
    return {name: ([BATCH, *shapes[0][1:]] if batched else list(shapes[0])) for name, shapes in unknown.items()}


def _what_to_state(
    shapes: Mapping[str, Sequence[tuple]], open_axes: Mapping[str, list[int]], axes: Mapping[str, Axis], rows: bool
) -> str:
    """Return a sentence about axes that the samples leave open, with the lines for config.yaml."""
    names: dict[tuple, str] = {}  # {sizes of an axis in all samples: its proposed name}
    proposed = {}
    for name, of_input in shapes.items():
        shape: list = [BATCH, *of_input[0][1:]]
        for axis in open_axes[name]:
            if axis:
                sizes = tuple(each[axis] for each in of_input)
                word = _PROPOSED.get(len(shape), {}).get(axis, f"{name}_{axis}")
                taken = {used for known, used in names.items() if known != sizes}
                names.setdefault(sizes, word if word not in taken else f"{name}_{axis}")
                shape[axis] = names[sizes]
        proposed[name] = f"{name}: {{shape: [{', '.join(map(str, shape))}]}}"
    ranges = [
        f"{name}: {{min: {min(sizes)}, opt: {median_low(sizes)}, max: {max(sizes)}}}"
        for sizes, name in names.items()
        if name not in axes
    ]
    lines = f"`inputs: {{{', '.join(proposed.values())}}}`"
    if ranges:
        lines += f" and `axes: {{{', '.join(ranges)}}}` (sizes of the samples; let them hold for all requests)"
    sizes = {
        (name, axis): sorted({shape[axis] for shape in shapes[name]}) for name in open_axes for axis in open_axes[name]
    }
    reasons = [
        f"axis {axis} of the input {name} has the sizes {listed([*map(str, several)], 4)} in the samples"
        for (name, axis), several in sizes.items()
    ]
    if rows and not any(0 in each for each in open_axes.values()):
        name = next(name for name, of_input in shapes.items() if of_input[0][0] != 1)
        reasons.insert(0, f"axis 0 of the input {name} has the size {shapes[name][0][0]} in every sample")
    without = "; for a model without a batch axis, write a number or another axis in place of `batch`" if rows else ""
    return (
        f"{'; '.join(reasons[:3])}, and config.yaml does not say whether and how they may vary; add {lines} to the "
        f"model, with the names and sizes that it shall have{without}"
    )


def _input(name: str, arrays: Sequence[np.ndarray], stated: Mapping, shape: Sequence[int | str]) -> Tensor:
    dtypes = sorted({str(array.dtype) for array in arrays})
    dtype = stated.get("dtype") or dtypes[0]
    if dtypes != [dtype]:
        says = f"config.yaml says {dtype}" if stated.get("dtype") else "all must be alike"
        raise SlipwayError(
            f"the input {name} is {' and '.join(dtypes)} in the samples, but {says}; let the samples have one dtype "
            f"(.astype), and correct `inputs.{name}.dtype` if it is stated"
        )
    if arrays[0].dtype.kind not in "biuf":
        raise SlipwayError(
            f"the input {name} is {dtype} in the samples, but a network takes numbers; turn it into integers or "
            "floating-point numbers in `samples`"
        )
    tensor = Tensor.of({**stated, "name": name, "dtype": dtype, "shape": shape})
    for array in arrays:
        if not tensor.fits(array.shape, {}):
            raise SlipwayError(
                f"the input {name} has the shape {array.shape} in a sample, but config.yaml says "
                f"[{', '.join(map(str, shape))}]; correct `inputs.{name}.shape` or the samples"
            )
    return tensor
