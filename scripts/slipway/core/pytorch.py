"""PyTorch, for modules that need it: without it, their program ends with a sentence."""

try:
    import torch
except ModuleNotFoundError:
    raise SystemExit("error: torch is not installed here; pip install -r envs/requirements.txt") from None

# It makes no artifact.
PART_OF_KEYS = False

__all__ = ["torch"]
