"""PyTorch models: architectures, checkpoints of any origin, and the canonical form of weights."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError:
    raise SystemExit("error: torch is not installed here; pip install -r envs/requirements.txt") from None

from slipway.models.architectures import build
from slipway.models.canonical import load_model

__all__ = ["build", "load_model"]
