"""A TorchScript archive as a network. Its code is executed by PyTorch's TorchScript interpreter alone."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.core.errors import explained_by
from slipway.core.pytorch import torch
from slipway.networks.user_code import first_sentence


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Copy the program as it is, and return sentences about it."""
    load(path)
    shutil.copyfile(path, output)
    return []


def load(path: Path) -> torch.nn.Module:
    """Return the archive's module, scripted or traced, in eval mode on the CPU."""
    with explained_by(
        lambda error: (
            f"{path} cannot be read as a TorchScript archive ({first_sentence(error)}); save it again with the PyTorch "
            f"that runs here, {torch.__version__}, or an older one: torch.jit.script(model.eval()).save(path)"
        )
    ):
        return torch.jit.load(path, map_location="cpu").eval()
