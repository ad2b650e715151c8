"""An exported program, a .pt2 file of torch.export.save, as a network. No code of the file is executed."""

import inspect
import shutil
from collections.abc import Sequence
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError, explained_by
from slipway.core.pytorch import torch
from slipway.networks.user_code import first_sentence


class ExportedNetwork(torch.nn.Module):
    """An exported program that takes its inputs by name or by position, whichever way it was exported with.

    `forward_parameters` are the parameters of its forward. Raises SlipwayError if an input is no tensor of its own,
    such as a dictionary of tensors.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.program = program.module()
        # PyTorch forbids both on a program, but its operators have no modes that these calls could change.
        del self.program.train, self.program.eval
        arguments, keywords = program.call_spec.in_spec.children()
        if nested := [spec for spec in (*arguments.children(), *keywords.children()) if not spec.is_leaf()]:
            raise SlipwayError(
                f"the exported program takes a {nested[0].type.__name__} of tensors, but requests have tensors by "
                "name; export the network in a module whose forward takes each tensor by itself"
            )
        names = list(inspect.signature(self.program.forward).parameters)
        self.by_position = names[: arguments.num_children]
        inputs = zip(names, program.graph_signature.user_inputs, strict=True)
        # An argument that was no tensor in the export, such as None, is a constant of the program.
        self.constants = {name: value for name, value in inputs if not isinstance(value, str)}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.forward_parameters = {name: inspect.Parameter(name, kind) for name in names if name not in self.constants}

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> object:
        """Return the program's answer, in the structure that the exported network returned."""
        given = {**self.constants, **dict(zip(self.forward_parameters, inputs, strict=False)), **named}
        arguments = [given.pop(name) for name in self.by_position]
        return self.program(*arguments, **given)


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Copy the program as it is, and return sentences about it."""
    load(path)
    shutil.copyfile(path, output)
    return []


def load(path: Path) -> ExportedNetwork:
    """Return the program as a network. Raise SlipwayError if the file is damaged or of a newer PyTorch."""
    with explained_by(
        lambda error: (
            f"{path} cannot be read as an exported program ({first_sentence(error)}); save it again with the PyTorch "
            f"that runs here, {torch.__version__}, or an older one: torch.export.save(program, path)"
        )
    ):
        with path.open("rb") as file:  # a path would need the suffix .pt2
            program = torch.export.load(file)
        return ExportedNetwork(program).eval()
