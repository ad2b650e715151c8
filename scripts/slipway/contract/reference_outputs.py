"""Reference outputs: samples of a model's inputs with PyTorch's answers, in one self-describing NumPy archive.

Arrays are named "<sample>/inputs/<input>" and "<sample>/outputs/<output>"; sample 0 is the reference
request. "contract" has the contract as JSON.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.contract.archives import DAMAGED, by_number, numbered, read_arrays, write_arrays
from slipway.contract.contract import Contract, Tensors
from slipway.core.errors import SlipwayError


@dataclass(frozen=True)
class Sample:
    """One sample, of batch size 1 if the model has a batch axis, and PyTorch's outputs for it."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class ReferenceOutputs:
    """Samples of a model's inputs with PyTorch's outputs. The first sample is the reference request."""

    contract: Contract
    samples: tuple[Sample, ...]

    @property
    def request(self) -> Sample:
        """Return the reference request: the first sample, with its inputs and outputs."""
        return self.samples[0]

    @property
    def inputs(self) -> list[Tensors]:
        """Return the inputs of all samples, as [{input: array}]."""
        return [sample.inputs for sample in self.samples]

    @property
    def outputs(self) -> list[Tensors]:
        """Return PyTorch's outputs for all samples, as [{output: array}]."""
        return [sample.outputs for sample in self.samples]

    def write(self, path: str | Path) -> None:
        """Write the samples, their outputs and the contract to an archive, completely or not at all."""
        samples = [
            {f"{side}/{name}": array for side, tensors in vars(sample).items() for name, array in tensors.items()}
            for sample in self.samples
        ]
        write_arrays(path, {"contract": json.dumps(self.contract.record()), **numbered(samples)})

    @classmethod
    def read(cls, path: str | Path) -> "ReferenceOutputs":
        """Return the reference outputs in an archive. Raise SlipwayError if the archive is missing or damaged."""
        try:
            arrays = read_arrays(path)
            contract = Contract.of(json.loads(str(arrays.pop("contract"))))
            return cls(contract, tuple(_sample_of(sample, contract) for sample in by_number(arrays)))
        except DAMAGED as error:
            raise SlipwayError(
                f"the reference outputs {path} are missing or damaged ({error}): remove results/<model>/"
                f"reference_outputs.npz, and run again"
            ) from None


def _sample_of(arrays: dict[str, np.ndarray], contract: Contract) -> Sample:
    inputs, outputs = (
        {tensor.name: arrays[f"{side}/{tensor.name}"] for tensor in getattr(contract, side)}
        for side in ("inputs", "outputs")
    )
    return Sample(inputs, outputs)
