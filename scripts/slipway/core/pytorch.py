"""Import PyTorch, or end the program with one sentence if PyTorch is not installed."""

try:
    import torch
except ModuleNotFoundError:
    raise SystemExit("error: torch is not installed here; pip install -r envs/requirements.txt") from None

# This module makes no artifact.
PART_OF_KEYS = False

__all__ = ["torch"]
