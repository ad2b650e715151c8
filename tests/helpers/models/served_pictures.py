"""Networks of pictures behind a contract, and random pictures for them."""

import numpy as np

from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Contract, Normalisation, Tensor
from slipway.contract.network import ServedNetwork
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import write_json


def contract_of(side, values=None, dtype="float32", preprocess=None):
    """Return the contract of pictures (N, 3, side, side), and of logits (N, values); None is any number of values."""
    normalisation = Normalisation(preprocess.mean, preprocess.std) if preprocess and dtype == "uint8" else None
    pictures = Tensor("input", dtype, (BATCH, 3, side, side), normalisation=normalisation)
    return Contract((pictures,), (Tensor("logits", "float32", (BATCH, values)),))


def random_pictures(side, count=1, dtype="float32"):
    """Return samples of random pictures: standard normal float32, or uint8 pixels."""
    random, shape = np.random.default_rng(0), (1, 3, side, side)
    if dtype == "uint8":
        return [{"input": random.integers(0, 256, shape, dtype=np.uint8)} for _ in range(count)]
    return [{"input": random.standard_normal(shape, np.float32)} for _ in range(count)]


def served(model, side):
    """Return the served network of a model in eval mode, its contract, and two samples."""
    contract = contract_of(side)
    return ServedNetwork(model.eval(), contract), contract, random_pictures(side, 2)


def write_reference(path, pictures, logits):
    """Write the reference outputs of a classifier: lists of pictures (N, 3, side, side) and of their logits."""
    pictures, logits = map(np.concatenate, (pictures, logits))
    rows = zip(pictures[:, None], logits[:, None], strict=True)
    contract = contract_of(pictures.shape[-1], logits.shape[1], pictures.dtype.name)
    ReferenceOutputs(contract, tuple(Sample({"input": row}, {"logits": answer}) for row, answer in rows)).write(path)


def write_interface(folder, contract, samples, name=""):
    """Write the interface and samples of a model into a folder, and return the options that name them."""
    write_json(folder / f"{name}interface.json", contract.interface())
    write_samples(folder / f"{name}samples.npz", samples)
    return ["--interface", str(folder / f"{name}interface.json"), "--samples", str(folder / f"{name}samples.npz")]
