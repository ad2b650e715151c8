"""A TorchScript archive as a network. PyTorch's interpreter of TorchScript executes the archive's code."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.core.errors import explained_by
from slipway.core.pytorch import torch
from slipway.networks.training_mode import require_eval_mode
from slipway.networks.user_code import first_sentence


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Copy a user's TorchScript archive to `output` as it is, and return no sentences ([]).

    `samples` are not used. Raises SlipwayError if the archive is damaged, or was saved in train mode.
    """
    module = load(path)
    require_eval_mode(_operators(module.inlined_graph), "torch.jit.trace or torch.jit.script, and save it again")
    shutil.copyfile(path, output)
    return []


def load(path: Path) -> torch.jit.ScriptModule:
    """Return the archive's module, scripted or traced, in eval mode on the CPU.

    Raises SlipwayError if the file is damaged, of a newer PyTorch, or needs operators that are missing here.
    """
    with explained_by(
        lambda error: (
            f"{path} cannot be read as a TorchScript archive ({first_sentence(error)}): it is damaged, of a newer "
            f"PyTorch than {torch.__version__}, which runs here, or has operators that are missing here; save it "
            "again: torch.jit.script(model.eval()).save(path); if it is a state dict, name its `architecture`"
        )
    ):
        return torch.jit.load(path, map_location="cpu").eval()


def _operators(block: torch.Graph) -> Iterator[tuple[str, dict, str]]:
    """Yield (operator, {argument: constant value}, name of its module) of each operator, including branches.

    The arguments show whether the operator computes as in training.
    """
    for node in block.nodes():
        for inner in node.blocks():
            yield from _operators(inner)
        if node.kind().startswith("aten::"):
            names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
            constants = {
                name: value.toIValue()
                for name, value in zip(names, node.inputs(), strict=False)
                if value.node().kind() == "prim::Constant"
            }
            yield node.kind(), constants, node.scopeName().rpartition("__module.")[2]
