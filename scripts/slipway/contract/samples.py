"""Take real inputs of a model, evenly spread, from the user's function or from .npz files, and check them."""

import argparse
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from slipway.contract.archives import DAMAGED, read_arrays
from slipway.contract.batches import Sizes, rows
from slipway.contract.contract import Tensors
from slipway.contract.sample_sources import evenly, files_of, is_function
from slipway.core.errors import SlipwayError, explained_by, listed
from slipway.core.job_settings import add_planned
from slipway.core.user_modules import import_users, users_modules_first
from slipway.networks.user_code import at, first_sentence, line_of, place_of, shown

# The most samples that are read from the user's function, which may yield without end.
LONGEST = 2000
_HOW = "let it yield a dictionary of arrays for each sample, {input: array with the batch axis}"


def take_samples(
    source: str, count: int, batched: bool | None = None, targets: Collection[str] = (), sizes: Sizes | None = None
) -> list[Tensors]:
    """Return at most `count` samples of a source, evenly spread. The result always has the first sample.

    `source` is "package.module:function", a .npz file, or a folder of .npz files. `batched`: whether the first axis of
    all inputs is the batch axis, so that each row is a sample; None if config.yaml does not say. With None, each row of
    a file is a sample if all its inputs have the same number of rows, and each result of a function is one sample.
    `targets` are the names of arrays that are no inputs of the network; such arrays may have any dtype and shape.
    `sizes`, if given, collects the input sizes of more samples than are returned: of LONGEST files or results of the
    function, if the source has so many. Raises SlipwayError, with the file or line, for a mistake in the source.
    """
    most = count if sizes is None else max(LONGEST, count)
    if is_function(source):
        given, batched = _results(source, most), bool(batched)
    else:
        given = ((_read(path), str(path)) for path in evenly(files_of(source), most))
    samples = _rows(given, batched, targets)
    if sizes is not None:
        samples = map(sizes.including, samples)
    if not (taken := spread(samples, count)):
        raise SlipwayError(f"`samples` in config.yaml, {source}, gives no sample; {_HOW}")
    return taken


def inputs_alone(samples: Sequence[Tensors], targets: Collection[str]) -> list[Tensors]:
    """Return the samples with the network's inputs only: without the arrays named in `targets`."""
    return [{name: array for name, array in sample.items() if name not in targets} for sample in samples]


def require_targets(samples: Sequence[Tensors], targets: Sequence[str], source: str) -> None:
    """Raise SlipwayError if the first sample lacks one of the `targets`, the arrays that only the user's metric reads.

    All other samples have the same arrays as the first. `source` names the source of the samples in the message.
    """
    if absent := [name for name in targets if name not in samples[0]]:
        raise SlipwayError(
            f"`samples` in config.yaml, {source}, has no {listed(absent, 5)}, which `metric.targets` names; it has "
            f"{', '.join(samples[0])}: add the array to every sample, or take its name out of `targets`"
        )


def spread(samples: Iterable[Tensors], count: int) -> list[Tensors]:
    """Return at most `count` evenly spread samples of an iterable of unknown length.

    The memory never holds more than 2 * `count` samples.
    """
    kept: list[Tensors] = []
    stride = 1
    for index, sample in enumerate(samples):
        if index % stride == 0:
            kept.append(sample)
        if len(kept) == 2 * count:
            kept, stride = kept[::2], 2 * stride
    return evenly(kept, count)


def _rows(given: Iterable[tuple[object, str]], batched: bool | None, targets: Collection[str]) -> Iterator[Tensors]:
    """Yield the samples of a source. `given` yields (entry of the source, text that names the entry in messages).

    An entry is {name: array}. If the first axis is the batch axis, each row of an entry is a sample; otherwise each
    entry is a sample. See `take_samples` for `batched` and `targets`.
    """
    first = None
    for sample, where in given:
        arrays = _arrays(sample, where, targets)
        first = first or arrays
        _require_alike(arrays, first, where, targets)
        counts = {array.shape[:1] for name, array in arrays.items() if name not in targets}
        has_rows = len(counts) == 1 and counts != {()} if batched is None else batched
        yield from _split(arrays, where, targets) if has_rows else [arrays]


def _results(source: str, count: int) -> Iterator[tuple[object, str]]:
    """Yield (entry, text that names the entry in messages) for each entry that the user's function yields."""
    explanation = explained_by(
        lambda error: (
            f"`samples` in config.yaml, {source}, cannot be imported ({first_sentence(error)}){place_of(error)}; "
            "install its package into this environment or name its folder in PYTHONPATH, or correct `samples`"
        )
    )
    with explanation, users_modules_first():
        function = import_users(source)
    if not callable(function):
        raise SlipwayError(f"`samples` in config.yaml, {source}, is no function; {_HOW}")
    explanation = explained_by(
        lambda error: (
            f"`samples` in config.yaml, {source}, fails ({first_sentence(error)})"
            f"{at(line_of(error) or _line_of(function))}; it is called without arguments; {_HOW}"
        )
    )
    with explanation, users_modules_first():
        given = function()
        if isinstance(given, Mapping) or not isinstance(given, Iterable):
            raise SlipwayError(
                f"`samples` in config.yaml, {source}, returns {_described(given)}{at(_line_of(function))}; {_HOW}"
            )
        if isinstance(given, Sequence):
            given = map(given.__getitem__, evenly(range(len(given)), count))
        for index, sample in enumerate(islice(given, max(LONGEST, count))):
            yield sample, f"the sample {index} of {source}{at(_line_of(given) or _line_of(function))}"


def _line_of(source: object) -> str | None:
    """Return "file:line" of a generator's present line or of a function's first line; None if unknown."""
    frame = getattr(source, "gi_frame", None)
    if frame is not None:
        return f"{shown(frame.f_code.co_filename)}:{frame.f_lineno}"
    code = getattr(inspect.unwrap(source), "__code__", None) if callable(source) else None
    return f"{shown(code.co_filename)}:{code.co_firstlineno}" if code else None


def _read(path: Path) -> Tensors:
    try:
        return read_arrays(path)
    except DAMAGED as error:
        raise SlipwayError(
            f"{path} cannot be read ({first_sentence(error)}); write it with numpy.savez(path, name=array), with "
            "arrays of numbers"
        ) from None


def _arrays(sample: object, where: str, targets: Collection[str]) -> Tensors:
    if not isinstance(sample, Mapping):
        raise SlipwayError(f"{where} is {_described(sample)}; {_HOW}")
    if not set(sample) - set(targets):
        raise SlipwayError(f"{where} has no arrays for the inputs; {_HOW}")
    return {name: _array(name, value, where, name in targets) for name, value in sample.items()}


def _array(name: object, value: object, where: str, is_target: bool) -> np.ndarray:
    if not isinstance(name, str) or not name:
        raise SlipwayError(f"{where} has the key {name!r}; let it have the names of the inputs")
    if not hasattr(value, "__array__"):
        raise SlipwayError(f"{where} has {_described(value)} as {name}; make it an array (numpy.asarray)")
    try:
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
    except Exception as error:  # a tensor of another library can raise any exception
        raise SlipwayError(
            f"{where} has as {name} {_described(value)}, of which no array is made ({first_sentence(error)}); make it "
            "an array of NumPy (.detach().cpu().numpy())"
        ) from None
    if is_target and array.dtype.kind != "O":
        return array
    if array.dtype.kind not in "biuf":
        kind = "objects" if array.dtype.kind == "O" else f"values of the type {array.dtype}"
        raise SlipwayError(
            f"{where} has {kind} in {name}, but a model takes numbers; turn them into numbers there, or, if only the "
            f"metric reads {name}, say so: `metric: {{targets: [{name}]}}`"
        )
    if not array.size:
        raise SlipwayError(f"{where} has an empty array of the shape {array.shape} as {name}; leave it out")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SlipwayError(f"{where} has NaN or infinities in {name}; leave it out, or replace them by numbers there")
    return array


def _require_alike(arrays: Tensors, first: Tensors, where: str, targets: Collection[str]) -> None:
    """Raise SlipwayError unless a sample has the same names as the first sample.

    Its inputs must also have the same dtypes and ranks; the arrays named in `targets` are no inputs. `where` names the
    sample in the message.
    """
    if set(arrays) != set(first):
        raise SlipwayError(
            f"{where} has the arrays {', '.join(arrays)}, but the first sample has {', '.join(first)}; let every "
            "sample have the same names"
        )
    for name, array in arrays.items():
        if name not in targets and (array.dtype, array.ndim) != (first[name].dtype, first[name].ndim):
            raise SlipwayError(
                f"{where} has {array.dtype} {array.shape} as {name}, but the first sample has {first[name].dtype} "
                f"{first[name].shape}; let every sample have the same dtype and number of axes"
            )


def _split(arrays: Tensors, where: str, targets: Collection[str]) -> Iterator[Tensors]:
    """Yield each row of a batch as a sample. Raise SlipwayError unless all arrays have the same number of rows.

    If all inputs have a single row, targets may have any number of rows.
    """
    if all(array.shape[:1] == (1,) for name, array in arrays.items() if name not in targets):
        yield {name: array.copy() for name, array in arrays.items()}
        return
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in counts)
        raise SlipwayError(
            f"{where} has arrays of different lengths along the batch axis ({shapes}); let the first axis of each be "
            "the batch, or state shapes without `batch` as `inputs` in config.yaml"
        )
    for row in range(next(iter(counts.values()))):
        yield {name: array.copy() for name, array in rows(arrays, row, row + 1).items()}


def _described(value: object) -> str:
    if value is None:
        return "nothing (None)"
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of the shape {tuple(shape)}" if isinstance(shape, tuple) else "")


def add_source(arguments: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Add the options of the source of samples: --function, --files, --batched and --targets.

    Return the exclusive group of --function and --files, so that a program can add other sources to it.
    """
    source = arguments.add_mutually_exclusive_group()
    source.add_argument("--function", help="package.module:function that yields {input: array} for each sample")
    source.add_argument("--files", type=Path, help=".npz file of samples, or folder of them")
    arguments.add_argument(
        "--batched",
        action=argparse.BooleanOptionalAction,
        help="whether the first axis of the inputs is the batch axis; left out, it is not known",
    )
    arguments.add_argument("--targets", nargs="+", default=[], help="arrays of the samples that only the metric reads")
    add_planned(arguments, "files_sha256")
    return source


def has_source(arguments: argparse.Namespace) -> bool:
    """Return whether the options name a source of samples: --function or --files."""
    return bool(arguments.function or arguments.files)


def samples_of(arguments: argparse.Namespace, count: int, sizes: Sizes | None = None) -> list[Tensors]:
    """Return at most `count` samples of the source in --function or --files, with the arrays named in --targets.

    If `sizes` is given, it gets the sizes of all inputs of the source. See `take_samples`.
    """
    return take_samples(arguments.function or str(arguments.files), count, arguments.batched, arguments.targets, sizes)


def name_of(arguments: argparse.Namespace) -> str:
    """Return the name of the source of samples for a record: the function, or the name of the file or folder."""
    return arguments.function or arguments.files.name
