"""The contract of a model: its inputs and outputs with names, dtypes and shapes, and the sizes of its dynamic axes.

The file contract.json has it. All later steps read the contract instead of the network.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.core.records import has_shape
from slipway.outputs.meaning import TENSOR, Meaning

# Named arrays: the inputs of a model, or its outputs.
Tensors = dict[str, np.ndarray]
# The name of the batch axis, along which Triton joins requests. It is the first axis of all tensors, or of none.
BATCH = "batch"

_SIDES = ("inputs", "outputs")
_AXIS = {"min": int, "opt": int, "max": int}
_TENSOR = {"name": str, "dtype": str, "shape": [(int, str, type(None))]}
_SHAPE = {"inputs": [_TENSOR], "outputs": [_TENSOR], "axes": {str: _AXIS}}


@dataclass(frozen=True)
class Axis:
    """The sizes that a dynamic axis may have, from `min` to `max`. Engines are tuned for the size `opt`."""

    min: int
    opt: int
    max: int

    @property
    def ends(self) -> tuple[int, ...]:
        """Return the smallest, optimal and largest size without duplicates."""
        return tuple(dict.fromkeys((self.min, self.opt, self.max)))


@dataclass(frozen=True)
class Normalisation:
    """The normalisation of uint8 pixels inside the served graph: (pixels / 255 - mean) / std, by channel (axis 1)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model.

    `dtype` is NumPy's name. An entry of `shape` is a size, the name of a dynamic axis, or None: the size follows from
    the input's values or from other axes. `pad` is the value that lengthens an input along its dynamic axes, so that
    samples of several sizes fit in one batch; None if padding would change the answers. Only inputs have a
    `normalisation`, and only outputs have a `meaning`.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    pad: float | None = None
    normalisation: Normalisation | None = None
    meaning: Meaning | None = None

    @property
    def known_meaning(self) -> Meaning:
        """Return the meaning of the tensor, or TENSOR (numbers of any kind) if no meaning is known."""
        return self.meaning or TENSOR

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the names of the dynamic axes without the batch axis."""
        return tuple(size for size in self.shape if isinstance(size, str) and size != BATCH)

    def sizes(self, batch: int, axes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape as sizes, for a batch size and for `axes`, {dynamic axis: its size}.

        No entry of `shape` may be None.
        """
        known = {**axes, BATCH: batch}
        return tuple(size if isinstance(size, int) else known[str(size)] for size in self.shape)

    def fits(self, shape: tuple[int, ...], sizes: Mapping[str, int]) -> bool:
        """Return whether an array of the shape `shape` fits this tensor.

        `sizes` is {dynamic axis: its size}. A dynamic axis that is not in `sizes`, or is None, may have any size.
        """
        expected = [sizes.get(size) if isinstance(size, str) else size for size in self.shape]
        return len(shape) == len(expected) and all(map(lambda own, size: own in (None, size), expected, shape))

    def dims(self, batched: bool) -> list[int]:
        """Return the shape as in config.pbtxt: -1 for a dynamic size, and no first axis if `batched`."""
        shape = self.shape[1:] if batched else self.shape
        return [size if isinstance(size, int) else -1 for size in shape]

    @property
    def shape_in_words(self) -> str:
        """Return the shape in words, such as "(batch, 3, 224, 224)"."""
        return f"({', '.join('?' if size is None else str(size) for size in self.shape)})"

    def in_words(self) -> str:
        """Return the tensor in words, such as "input float32 (batch, 3, 224, 224)"."""
        return f"{self.name} {self.dtype} {self.shape_in_words}"

    def record(self) -> dict:
        """Return the fields as {name: value} for a JSON record, without the fields that are None."""
        facts = json.loads(json.dumps(asdict(self)))  # with lists, as in a record read from a file
        return {name: value for name, value in facts.items() if value is not None}

    @classmethod
    def of(cls, record: dict) -> "Tensor":
        """Return the tensor in a dict that `Tensor.record` made."""
        normalisation, meaning = record.get("normalisation"), record.get("meaning")
        return cls(
            record["name"],
            record["dtype"],
            tuple(record["shape"]),
            record.get("pad"),
            normalisation and Normalisation(tuple(normalisation["mean"]), tuple(normalisation["std"])),
            meaning and Meaning.of(meaning),
        )


@dataclass(frozen=True)
class Contract:
    """The inputs and outputs of a model in their order, and the sizes of its dynamic axes without the batch axis.

    `facts` has all further entries of contract.json, such as the source of the samples.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Return whether the first axis is the batch axis, so that requests can be joined into batches."""
        return self.inputs[0].shape[:1] == (BATCH,)

    @property
    def baseline(self) -> str:
        """Return the name of the runtime whose answers every engine must reproduce, such as PyTorch."""
        return self.facts.get("baseline", "PyTorch")

    @property
    def optimum(self) -> dict[str, int]:
        """Return {dynamic axis: the size for which engines are tuned}."""
        return {name: axis.opt for name, axis in self.axes.items()}

    def of_engine(self, tensors: Mapping[str, list[dict]]) -> "Contract":
        """Return the contract with the dtypes of an engine, which may have int32 in place of int64, for example.

        `tensors` is {"inputs": [{"name", "dtype", ...}], "outputs": [...]}, as in the engine's record. Raises
        SlipwayError if the names of the engine's tensors differ from the contract's.
        """
        changed = {}
        for side in _SIDES:
            own, dtypes = getattr(self, side), {entry["name"]: entry["dtype"] for entry in tensors[side]}
            if set(dtypes) != {tensor.name for tensor in own}:
                raise SlipwayError(
                    f"the engine has the {side} {', '.join(dtypes)}, but the model has "
                    f"{', '.join(tensor.name for tensor in own)}; remove the engine and run snakemake again"
                )
            changed[side] = tuple(replace(tensor, dtype=dtypes[tensor.name]) for tensor in own)
        return replace(self, inputs=changed["inputs"], outputs=changed["outputs"])

    def sizes_of(self, inputs: Tensors) -> dict[str, int]:
        """Return {dynamic axis: its size} for the inputs of a request, with the batch axis, and check the inputs.

        Raises SlipwayError for the first input that is missing, unknown, or of another dtype or shape, and for an axis
        of a size that the contract does not allow.
        """
        if set(inputs) != {tensor.name for tensor in self.inputs}:
            expected = ", ".join(tensor.name for tensor in self.inputs)
            raise SlipwayError(f"the inputs are {', '.join(inputs) or 'empty'}, but the model takes {expected}")
        sizes: dict[str, int] = {}
        for tensor in self.inputs:
            array = inputs[tensor.name]
            named = {name: size for name, size in zip(tensor.shape, array.shape, strict=False) if isinstance(name, str)}
            sizes = named | sizes
            if array.dtype != tensor.dtype or not tensor.fits(array.shape, sizes):
                raise SlipwayError(
                    f"the input {tensor.name} is {array.dtype} {array.shape}, but the model takes {tensor.in_words()}"
                )
        for name, axis in self.axes.items():
            if not axis.min <= sizes[name] <= axis.max:
                raise SlipwayError(
                    f"the axis {name} of the inputs has the size {sizes[name]}, but the model takes {axis.min} to "
                    f"{axis.max}; change `axes.{name}` of the model in config.yaml, or the samples"
                )
        return sizes

    def interface(self) -> dict:
        """Return the content of interface.json: {"inputs", "outputs", "axes"} without the meanings of the outputs.

        Graphs and engines depend on this part alone, so they stay valid if only a meaning changes.
        """
        sides = {side: [replace(tensor, meaning=None).record() for tensor in getattr(self, side)] for side in _SIDES}
        return {**sides, "axes": {name: vars(axis) for name, axis in self.axes.items()}}

    def record(self) -> dict:
        """Return the content of contract.json: {"inputs", "outputs", "axes"} and all entries of `facts`."""
        return {**self.interface(), "outputs": [tensor.record() for tensor in self.outputs], **self.facts}

    @classmethod
    def of(cls, record: dict) -> "Contract":
        """Return the contract from `record`, the content of contract.json or interface.json.

        Raises SlipwayError if the record is damaged.
        """
        if not has_shape(record, _SHAPE):
            raise SlipwayError("the contract of the model is damaged; remove its contract.json and run snakemake again")
        inputs, outputs = (tuple(map(Tensor.of, record[side])) for side in _SIDES)
        axes = {name: Axis(**{end: sizes[end] for end in _AXIS}) for name, sizes in record["axes"].items()}
        facts = {name: value for name, value in record.items() if name not in _SHAPE}
        return cls(inputs, outputs, axes, facts)

    @classmethod
    def read(cls, path: str | Path) -> "Contract":
        """Return the contract from contract.json, or from interface.json, which has names, dtypes and shapes only.

        From interface.json, `meaning` of each output is None.
        """
        return cls.of(read_json(path))
