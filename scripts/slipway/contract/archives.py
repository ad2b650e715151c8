"""Named arrays in NumPy archives (.npz). The arrays of several samples are named "<sample>/<array>"."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from slipway.core.artifacts import atomic_write
from slipway.core.errors import SlipwayError

# The exceptions for a missing or damaged archive, and for an array that an archive lacks.
DAMAGED = (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, BadZipFile)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return {name: array} of an archive. Raise one of the exceptions in `DAMAGED` if the archive cannot be read."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_arrays(path: str | Path, arrays: Mapping[str, object]) -> None:
    """Write named arrays to an archive, completely or not at all.

    The bytes are those of numpy.savez, but arrays may also have the names `file` and `allow_pickle`.
    """
    with atomic_write(path) as partial, ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def numbered(samples: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of all samples as one dict for an archive: {"<index of the sample>/<name>": array}."""
    return {f"{index}/{name}": array for index, sample in enumerate(samples) for name, array in sample.items()}


def by_number(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return the samples, [{name: array}], from the arrays of an archive, whose names are those of `numbered`.

    Raises ValueError or KeyError if the arrays have other names.
    """
    samples: dict[int, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        index, _, name = key.partition("/")
        samples.setdefault(int(index), {})[name] = array
    return [samples[index] for index in range(len(samples))]


def write_samples(path: str | Path, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Write the inputs of samples to an archive whose arrays are named "<sample>/<input>"."""
    write_arrays(path, numbered(samples))


def read_samples(path: str | Path) -> list[dict[str, np.ndarray]]:
    """Return the samples [{input: array}] of an archive. Raise SlipwayError if it is missing or damaged."""
    try:
        return by_number(read_arrays(path))
    except DAMAGED as error:
        raise SlipwayError(
            f"the samples {path} are damaged ({error}); remove the file and run snakemake again"
        ) from None
