"""PyTorch models: their architectures, the checkpoints that people bring, and the canonical form of the weights."""

from slipway.models.architectures import build
from slipway.models.canonical import load_model

__all__ = ["build", "load_model"]
