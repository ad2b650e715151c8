"""PyTorch's answers to evaluation data. They are computed once for a model, and compared with each engine's answers.

The answers are stored in an archive, evaluation.npz. It has the SHA-256 of each sample in "samples", further facts as
JSON in "facts", and PyTorch's answers in arrays with the names "<sample>/<output>".
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from slipway.contract.archives import DAMAGED, numbered, read_arrays, write_arrays
from slipway.contract.batches import digest_of_values, joined, rows
from slipway.contract.contract import Contract, Tensors
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError

BATCH_SIZE = 8
# The answers of all samples are kept in memory.
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Evaluation:
    """The answers of PyTorch or of an engine to the evaluation data.

    `samples` has the SHA-256 of each sample (targets included), `answers` its outputs. `facts` are further values that
    the archive stores, {name: value}.
    """

    samples: tuple[str, ...]
    answers: tuple[Tensors, ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def samples_sha256(self) -> str:
        """Return the SHA-256 that identifies the evaluation data: of all samples' hashes in their order."""
        return hashlib.sha256("".join(self.samples).encode()).hexdigest()

    def require_same_samples(self, other: "Evaluation") -> None:
        """Raise SlipwayError unless `other`, an evaluation made later, has the same samples in the same order."""
        if self.samples == other.samples:
            return
        difference = f"there are {len(other.samples)} samples now, and were {len(self.samples)}"
        if len(self.samples) == len(other.samples):
            pairs = zip(self.samples, other.samples, strict=True)
            difference = f"sample {[one == another for one, another in pairs].index(False)} is another one now"
        raise SlipwayError(
            f"the evaluation data changed since the model itself was asked: {difference}; remove the model's "
            "evaluation.npz and run snakemake again, and let the source of the samples always yield the same ones"
        )

    def write(self, path: str | Path) -> None:
        """Write this evaluation as an archive (.npz) at `path`, completely or not at all."""
        facts = {"samples": np.array(self.samples), "facts": json.dumps(self.facts)}
        write_arrays(path, {**facts, **numbered(self.answers)})

    @classmethod
    def read(cls, path: str | Path, contract: Contract) -> "Evaluation":
        """Read an evaluation from the archive at `path`, which `write` wrote.

        Raises SlipwayError if the archive is missing or damaged, or lacks an output.
        """
        try:
            arrays = read_arrays(path)
            samples, facts = tuple(map(str, arrays["samples"])), json.loads(str(arrays["facts"]))
            answers = [
                {tensor.name: arrays[f"{index}/{tensor.name}"] for tensor in contract.outputs}
                for index in range(len(samples))
            ]
        except DAMAGED as error:
            raise SlipwayError(
                f"{contract.baseline}'s answers {path} are damaged ({error}); remove the file and run snakemake again"
            ) from None
        return cls(samples, tuple(answers), facts)


def evaluated(answer: Callable[[Tensors], Tensors], contract: Contract, samples: Iterable[Tensors]) -> Evaluation:
    """Return the answers to evaluation data. `answer` is a function from the inputs of a batch to its outputs.

    Consecutive samples of equal sizes are answered in one batch. `answer` does not get a sample's targets. Raises
    SlipwayError if there are no samples, or if the answers take more than MAX_BYTES of memory.
    """
    digests: list[str] = []
    answers: list[Tensors] = []
    size = 0
    for batch in _batches(contract, samples):
        inputs = [{tensor.name: sample[tensor.name] for tensor in contract.inputs} for sample in batch]
        outputs = answer(joined(inputs) if contract.batched else inputs[0])
        answers += [rows(outputs, row, row + 1) if contract.batched else outputs for row in range(len(batch))]
        digests += [digest_of_values([sample]) for sample in batch]
        size += sum(output.nbytes for output in outputs.values())
        if size > MAX_BYTES:
            raise SlipwayError(
                f"the answers to {len(answers)} evaluation samples take {size / 1e9:.1f} GB of memory already; lower "
                "`accuracy.max_samples` in config.yaml"
            )
        if len(answers) % 200 < len(batch):
            progress(f"  answered {len(answers)} samples")
    if not answers:
        raise SlipwayError("there is no sample to evaluate the model on; look at the source of its samples")
    return Evaluation(tuple(digests), tuple(answers))


def _batches(contract: Contract, samples: Iterable[Tensors]) -> Iterator[list[Tensors]]:
    """Yield lists of at most BATCH_SIZE consecutive samples whose inputs have equal sizes."""
    for _, alike in groupby(samples, key=lambda sample: [sample[tensor.name].shape for tensor in contract.inputs]):
        while batch := list(islice(alike, BATCH_SIZE if contract.batched else 1)):
            yield batch


def stacked(answers: Sequence[Tensors], output: str) -> np.ndarray:
    """Return the values of one output for N samples as an array (N, ...). `answers` are those of an `Evaluation`."""
    return np.concatenate([answer[output] for answer in answers])
