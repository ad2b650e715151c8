"""The reference samples of a classifier's records, with the answers of PyTorch and of its engines."""

import numpy as np

from slipway.contract.contract import Contract
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import read_json, write_json
from slipway.outputs.presentation import record_of

PREPROCESS = {"resize": 8, "crop": 8, "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear"}
NAMES = ["military uniform", "bolo tie", "<i>", *(f"class {number}" for number in range(3, 1000))]


def write_samples(folder, changed=()):
    """Write reference_outputs.npz, labels.txt and each engine's answers: other ones to the samples in `changed`."""
    record = read_json(folder / "contract.json") | {"preprocess": PREPROCESS}
    write_json(folder / "contract.json", record)
    (folder / "labels.txt").write_text("\n".join(NAMES), encoding="utf-8")
    contract = Contract.of(record)
    samples = [_sample(number, top=0) for number in range(9)]
    ReferenceOutputs(contract, tuple(samples)).write(folder / "reference_outputs.npz")
    answers = [_sample(number, top=1 if number in changed else 0).outputs for number in range(9)]
    for path in folder.glob("*/*.accuracy.json"):
        write_json(path, read_json(path) | {"answers": [record_of(answer, contract, NAMES) for answer in answers]})


def _sample(number, top):
    scores = np.zeros((1, 1000), dtype=np.float32)
    scores[0, :5] = [5, 4, 3, 2, 1]
    scores[0, top] = 9
    pixels = np.full((1, 3, 8, 8), (number - 4) / 4, dtype=np.float32)
    return Sample({"input": pixels}, {"logits": scores})
