"""Import PyTorch, or end the program with one sentence if PyTorch is not installed."""

import sys

from slipway.core.torchvision_imports import WithoutCompiler

try:
    import torch
except ModuleNotFoundError:
    raise SystemExit("error: torch is not installed here; pip install -r envs/requirements.txt") from None

# This module makes no artifact.
PART_OF_KEYS = False

__all__ = ["torch"]

sys.meta_path.insert(0, WithoutCompiler())
