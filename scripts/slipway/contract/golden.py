"""Golden answers: samples of a model's inputs with PyTorch's answers, in one NumPy archive that explains itself.

Arrays are named "<sample>/inputs/<input>" and "<sample>/outputs/<output>"; sample 0 is the golden request. "contract"
holds the contract as JSON.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.artifacts import written_whole
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import TENSOR, Meaning


@dataclass(frozen=True)
class Sample:
    """One sample (batch size 1 where the model is batched) and the reference's answer to it."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class Golden:
    """The golden answers of a model. The first sample is the golden request."""

    contract: Contract
    samples: tuple[Sample, ...]

    @property
    def request(self) -> Sample:
        """Return the golden request and its answer."""
        return self.samples[0]

    @property
    def inputs(self) -> list[Tensors]:
        """Return the inputs of each sample."""
        return [sample.inputs for sample in self.samples]

    @property
    def answers(self) -> list[Tensors]:
        """Return the reference's answer to each sample."""
        return [sample.outputs for sample in self.samples]

    @property
    def meaning(self) -> Meaning:
        """Return the meaning of the first output."""
        return self.contract.outputs[0].meaning or TENSOR

    def write(self, path: str | Path) -> None:
        """Write the archive, completely or not at all."""
        arrays = {
            f"{index}/{side}/{name}": array
            for index, sample in enumerate(self.samples)
            for side in ("inputs", "outputs")
            for name, array in getattr(sample, side).items()
        }
        with written_whole(path) as partial, open(partial, "wb") as file:
            np.savez(file, contract=json.dumps(self.contract.record()), **arrays)

    @classmethod
    def read(cls, path: str | Path) -> "Golden":
        """Return the golden answers in an archive, also in one of an earlier Slipway.

        Raises SlipwayError if it is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return _of_classifier(arrays) if "contract" not in arrays else _of(arrays)
        except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
            raise SlipwayError(
                f"the golden answers {path} are damaged ({error}): remove the golden.npz that they were taken from, "
                "and run again"
            ) from None


def write_samples(path: str | Path, samples: Sequence[Tensors]) -> None:
    """Write samples (inputs alone) as an archive whose arrays are named "<sample>/<input>"."""
    arrays = {f"{index}/{name}": array for index, sample in enumerate(samples) for name, array in sample.items()}
    with written_whole(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def digest_of_values(samples: Sequence[Tensors]) -> str:
    """Return one SHA-256 of the names, dtypes, shapes and values of samples."""
    digest = hashlib.sha256()
    for sample in samples:
        for name in sorted(sample):
            digest.update(f"{name} {sample[name].dtype} {sample[name].shape} ".encode())
            digest.update(np.ascontiguousarray(sample[name]).tobytes())
    return digest.hexdigest()


def read_samples(path: str | Path) -> list[Tensors]:
    """Return the samples of an archive of `write_samples`. Raise SlipwayError if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _numbered({name: archive[name] for name in archive.files})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SlipwayError(
            f"the samples {path} are damaged ({error}); remove the file and run snakemake again"
        ) from None


def _numbered(arrays: Mapping[str, np.ndarray]) -> list[Tensors]:
    """Return [{name: array}] of arrays with the names "<index>/<name>"."""
    numbered: dict[int, Tensors] = {}
    for key, array in arrays.items():
        index, _, name = key.partition("/")
        numbered.setdefault(int(index), {})[name] = array
    return [numbered[index] for index in range(len(numbered))]


def _of(arrays: dict[str, np.ndarray]) -> Golden:
    contract = Contract.of(json.loads(str(arrays.pop("contract"))))
    samples = [
        Sample(
            {tensor.name: sample[f"inputs/{tensor.name}"] for tensor in contract.inputs},
            {tensor.name: sample[f"outputs/{tensor.name}"] for tensor in contract.outputs},
        )
        for sample in _numbered(arrays)
    ]
    return Golden(contract, tuple(samples))


def _of_classifier(arrays: dict[str, np.ndarray]) -> Golden:
    """Return the answers in the form of an earlier Slipway, which carried one input and one output."""
    meaning = Meaning.of(json.loads(str(arrays["output"])) if "output" in arrays else None)
    pairs = [("input", "logits"), ("variations", "variation_logits")]
    inputs, outputs = (
        np.concatenate([arrays[pair[side]] for pair in pairs if pair[side] in arrays]) for side in (0, 1)
    )
    contract = Contract(
        (Tensor("input", inputs.dtype.name, (BATCH, *inputs.shape[1:])),),
        (Tensor("logits", outputs.dtype.name, (BATCH, *outputs.shape[1:]), meaning=meaning),),
        facts={"task": "classification"},
    )
    samples = [
        Sample({"input": inputs[index : index + 1]}, {"logits": outputs[index : index + 1]})
        for index in range(len(inputs))
    ]
    return Golden(contract, tuple(samples))
