"""Reference outputs: samples of a model's inputs with PyTorch's answers, in one self-describing NumPy archive.

Arrays are named "<sample>/inputs/<input>" and "<sample>/outputs/<output>"; sample 0 is the reference
request. "contract" has the contract as JSON.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.contract.archives import DAMAGED, by_number, numbered, read_arrays, write_arrays
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning


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
        """Return the reference request with its outputs."""
        return self.samples[0]

    @property
    def inputs(self) -> list[Tensors]:
        """Return the inputs of each sample."""
        return [sample.inputs for sample in self.samples]

    @property
    def outputs(self) -> list[Tensors]:
        """Return PyTorch's outputs for each sample."""
        return [sample.outputs for sample in self.samples]

    def write(self, path: str | Path) -> None:
        """Write the archive, completely or not at all."""
        samples = [
            {f"{side}/{name}": array for side, tensors in vars(sample).items() for name, array in tensors.items()}
            for sample in self.samples
        ]
        write_arrays(path, {"contract": json.dumps(self.contract.record()), **numbered(samples)})

    @classmethod
    def read(cls, path: str | Path) -> "ReferenceOutputs":
        """Return the reference outputs in an archive. Archives of earlier versions of Slipway can be read, too.

        Raises SlipwayError if it is missing or damaged.
        """
        try:
            arrays = read_arrays(path)
            return _of_classifier(arrays) if "contract" not in arrays else _of(arrays)
        except DAMAGED as error:
            raise SlipwayError(
                f"the reference outputs {path} are missing or damaged ({error}): remove results/<model>/"
                f"reference_outputs.npz, and run again"
            ) from None


def _of(arrays: dict[str, np.ndarray]) -> ReferenceOutputs:
    contract = Contract.of(json.loads(str(arrays.pop("contract"))))
    samples = [
        Sample(
            {tensor.name: sample[f"inputs/{tensor.name}"] for tensor in contract.inputs},
            {tensor.name: sample[f"outputs/{tensor.name}"] for tensor in contract.outputs},
        )
        for sample in by_number(arrays)
    ]
    return ReferenceOutputs(contract, tuple(samples))


def _of_classifier(arrays: dict[str, np.ndarray]) -> ReferenceOutputs:
    """Return the reference outputs in an archive of an earlier version of Slipway, with one input and one output."""
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
    rows = zip(inputs[:, None], outputs[:, None], strict=True)
    return ReferenceOutputs(contract, tuple(Sample({"input": row}, {"logits": answer}) for row, answer in rows))
