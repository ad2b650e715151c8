"""Import PyTorch. If it is not installed, end the program with one sentence."""

try:
    import torch
except ModuleNotFoundError:
    raise SystemExit("error: torch is not installed here; pip install -r envs/requirements.txt") from None

# It makes no artifact.
PART_OF_KEYS = False

__all__ = ["torch"]
