"""PyTorch models: architectures, checkpoints of any origin, and the canonical form of weights."""

from slipway.core.pytorch import torch  # noqa: F401
from slipway.models.architectures import build
from slipway.models.canonical import load_model

__all__ = ["build", "load_model"]
