"""Compute a classifier's logits in PyTorch."""

import numpy as np

from slipway.classification.task import INPUT
from slipway.contract.contract import BATCH, Contract, Normalisation, Tensor
from slipway.contract.network import ServedNetwork, outputs_of, rows_differ
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch


def logits_of(model: torch.nn.Module, pictures: np.ndarray, normalisation: Normalisation | None = None) -> np.ndarray:
    """Return PyTorch's float32 logits (N, classes) for pictures (N, 3, H, W), computed on the CPU.

    `normalisation` is applied to uint8 pictures first; with None, the pictures are passed on as they are. Raises
    SlipwayError if the model fails on the pictures, or if its output is no floating-point tensor (N, classes) of finite
    numbers.
    """
    tensor = Tensor(INPUT, pictures.dtype.name, (BATCH, *pictures.shape[1:]), normalisation=normalisation)
    contract = Contract((tensor,), ())
    outputs = outputs_of(ServedNetwork(model, contract), contract, {INPUT: pictures})
    (logits, *others) = outputs.values()
    if others or logits.ndim != 2:
        shapes = " and ".join(f"a tensor of shape {values.shape}" for values in outputs.values())
        raise SlipwayError(
            f"the model answers with {shapes}, not with one tensor of logits (N, classes); let the network "
            "return them alone, or name `samples` in config.yaml and choose one of its `outputs`"
        )
    if logits.dtype != np.float32:
        raise SlipwayError(
            f"the model answers in {logits.dtype}, which are whole numbers or truth values, such as the class that it "
            "chose, not scores; let the network return its floating-point logits"
        )
    if len(logits) != len(pictures):
        raise SlipwayError(rows_differ("logits", len(pictures), logits.shape))
    return logits
