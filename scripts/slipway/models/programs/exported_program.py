"""An exported program, a .pt2 file of torch.export.save, as a network. Pickled code in the file is never executed."""

import inspect
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.contract.contract import Tensor, Tensors
from slipway.core.errors import SlipwayError, explained_by, listed
from slipway.core.pytorch import torch
from slipway.networks.answer_structure import dtype_of
from slipway.networks.graph_network import FileNetwork
from slipway.networks.training_mode import require_eval_mode
from slipway.networks.user_code import first_sentence

# In files of PyTorch before 2.8.
_OLD_FORMAT = "serialized_exported_program.json"
_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_SAVE_AGAIN = "torch.export.save(torch.export.export(model.eval(), inputs, dynamic_shapes=...), path)"


class ExportedNetwork(FileNetwork):
    """An exported program as a network. The inputs may be given by name or by position, however it was exported.

    `inputs` are the program's inputs; in their shapes, None is a dynamic axis. `ranges`: {(input, axis): (smallest
    size, largest size or None)}. Raises SlipwayError if an input is a structure of tensors, such as a dictionary.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.program = program.module()
        # PyTorch forbids train() and eval() on a program. Its operators have no modes that these calls could change.
        del self.program.train, self.program.eval
        arguments, keywords = program.call_spec.in_spec.children()
        if nested := [spec for spec in (*arguments.children(), *keywords.children()) if not spec.is_leaf()]:
            raise SlipwayError(
                f"the exported program takes a {nested[0].type.__name__} of tensors, but requests have tensors by "
                "name; export the network in a module whose forward takes each tensor by itself"
            )
        names = list(inspect.signature(self.program.forward).parameters)
        self.by_position = names[: arguments.num_children]
        inputs = dict(zip(names, program.graph_signature.user_inputs, strict=True))
        # An argument that was no tensor in the export, such as None, is a constant of the program.
        self.constants = {name: value for name, value in inputs.items() if not isinstance(value, str)}
        examples = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
        tensors = {name: examples[value] for name, value in inputs.items() if name not in self.constants}
        self.inputs = tuple(_input(name, tensor) for name, tensor in tensors.items())
        self.ranges = dict(_ranges(tensors, program.range_constraints))

    @property
    def forward_parameters(self) -> dict[str, inspect.Parameter]:
        """Return {name: parameter} of the forward method of the network that was exported."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return {tensor.name: inspect.Parameter(tensor.name, kind) for tensor in self.inputs}

    @property
    def largest_batch(self) -> int | None:
        """Return the largest batch size that the program accepts; None if it accepts any batch size."""
        bounds = [largest for (_, axis), (_, largest) in self.ranges.items() if axis == 0 and largest is not None]
        return min(bounds, default=None)

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> object:
        """Return the program's answer, in the structure that the exported network returned."""
        by_position = zip((tensor.name for tensor in self.inputs), inputs, strict=False)
        given = {**self.constants, **dict(by_position), **named}
        arguments = [given.pop(name) for name in self.by_position]
        return self.program(*arguments, **given)

    def why_it_fails(self, inputs: Tensors, error: Exception) -> str:
        """Return a sentence that explains why the program failed on these inputs, with the remedy.

        `inputs` is {input: array}, and `error` the exception of the run.
        """
        arrays = dict(zip((tensor.name for tensor in self.inputs), inputs.values(), strict=False))
        arrays |= {name: array for name, array in inputs.items() if name in arrays}
        kinds = [
            f"{tensor.name} is {tensor.dtype} with {len(tensor.shape)} axes, not {array.dtype} with {array.ndim}"
            for tensor, array in ((tensor, arrays[tensor.name]) for tensor in self.inputs)
            # Pixels reach the program as float32.
            if (str(array.dtype).replace("uint8", tensor.dtype), array.ndim) != (tensor.dtype, len(tensor.shape))
        ]
        if kinds:
            return f"the exported program does not take these inputs: {listed(kinds, 3)}; correct the samples"
        if sizes := list(self._other_sizes(arrays)):
            name, axis, _ = sizes[0]
            return (
                f"the exported program does not take these inputs: {listed([words for _, _, words in sizes], 3)}; "
                f'export it with this axis dynamic, dynamic_shapes={{"{name}": {{{axis}: torch.export.Dim("name")}}}}, '
                "or let samples and config.yaml have sizes that it takes"
            )
        return (
            f"the exported program fails on these inputs ({first_sentence(error)}); try them in PyTorch with "
            "torch.export.load(path).module()"
        )

    def _other_sizes(self, arrays: Tensors) -> Iterator[tuple[str, int, str]]:
        """Yield (input, axis, sentence about it) for each axis with a size that the program does not accept."""
        for tensor in self.inputs:
            for axis, (own, given) in enumerate(zip(tensor.shape, arrays[tensor.name].shape, strict=True)):
                least, largest = (own, own) if own is not None else self.ranges.get((tensor.name, axis), (0, None))
                if given < least or (largest is not None and given > largest):
                    taken = own if own is not None else f"{least} to {largest or 'any'}"
                    yield tensor.name, axis, f"axis {axis} of {tensor.name} takes {taken}, not {given}"

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "ExportedNetwork":
        """Move the program by `fn`, often to another device, where its operators then create tensors, such as masks."""
        super()._apply(fn, recurse)
        device = fn(torch.empty(0)).device
        for graph in _graphs(self.program):
            for name, value in list(vars(graph).items()):
                if isinstance(value, torch.Tensor):  # a constant of the code, which is no buffer
                    setattr(graph, name, fn(value))
            for node in graph.graph.nodes:
                if node.kwargs.get("device") is not None:
                    node.update_kwarg("device", device)
            graph.recompile()
        return self


def take(path: Path, output: Path, samples: Sequence[Tensors]) -> list[str]:
    """Copy a user's exported program to `output` as it is, and return sentences for the user about its batch sizes.

    `samples` are not used. Raises SlipwayError if the program is damaged, or was exported in train mode.
    """
    program = _read(path)
    require_eval_mode(_operators(program), f"torch.export.export: {_SAVE_AGAIN}")
    network = _network(program, path)
    shutil.copyfile(path, output)
    fixed = [tensor.in_words() for tensor in network.inputs if tensor.shape and tensor.shape[0] is not None]
    notes = []
    if fixed:
        notes.append(
            f"the program takes one size of the first axis ({listed(fixed, 3)}), with which it is served, each request "
            'by itself; for batches export it with dynamic_shapes={"...": {0: torch.export.Dim("batch")}}'
        )
    if network.largest_batch:
        notes.append(f"the program takes batches of at most {network.largest_batch}")
    return notes


def load(path: Path) -> ExportedNetwork:
    """Return the exported program in a file as a network, in eval mode.

    Raises SlipwayError if the file is damaged or of a newer PyTorch.
    """
    return _network(_read(path), path)


def _network(program: torch.export.ExportedProgram, path: Path) -> ExportedNetwork:
    with explained_by(lambda error: f"{path} cannot be run as an exported program ({first_sentence(error)})"):
        return ExportedNetwork(program).eval()


def _read(path: Path) -> torch.export.ExportedProgram:
    from torch.export.pt2_archive._package import load_pt2

    def why_not(error: Exception) -> str:
        return (
            f"{path} cannot be read as an exported program ({first_sentence(error)}): it is damaged, of a newer "
            f"PyTorch than {torch.__version__}, which runs here, or has operators that are missing here; save it "
            f"again: {_SAVE_AGAIN}"
        )

    with explained_by(why_not), _without_pickled_code(), path.open("rb") as file:
        is_old = _OLD_FORMAT in zipfile.ZipFile(file).namelist()
        file.seek(0)
        if is_old:
            return torch.export.load(file)
        # The same steps as in torch.export.load, which only logs the reason of a failure.
        return load_pt2(file).exported_programs["model"]


@contextmanager
def _without_pickled_code() -> Iterator[None]:
    """For the block, let PyTorch unpickle only weights, since pickled example inputs of a program could run code."""
    earlier = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(_WEIGHTS_ONLY)
        if earlier is not None:
            os.environ[_WEIGHTS_ONLY] = earlier


def _input(name: str, example: torch.Tensor) -> Tensor:
    shape = tuple(size if isinstance(size, int) else None for size in example.shape)
    return Tensor(name, dtype_of(example), shape)


def _ranges(tensors: dict[str, torch.Tensor], constraints: dict) -> Iterator[tuple[tuple[str, int], tuple]]:
    """Yield ((input, axis), (smallest size, largest size or None)) of each dynamic axis with a range.

    `tensors` are the program's example inputs, and `constraints` its range_constraints.
    """
    for name, tensor in tensors.items():
        for axis, size in enumerate(tensor.shape):
            limits = None if isinstance(size, int) else constraints.get(size.node.expr)
            if limits is not None:
                largest = int(limits.upper) if limits.upper.is_Integer and limits.upper < 2**31 else None
                yield (name, axis), (int(limits.lower), largest)


def _graphs(program: torch.nn.Module) -> list[torch.fx.GraphModule]:
    """Return the graphs of a program: its main graph, and the graphs of its branches."""
    return [module for module in program.modules() if isinstance(module, torch.fx.GraphModule)]


def _operators(program: torch.export.ExportedProgram) -> Iterator[tuple[str, dict, str]]:
    """Yield (operator, {argument: value}, name of its module) of each operator in a program and in its branches.

    The arguments show whether the operator computes as in training.
    """
    for node in (node for graph in _graphs(program.graph_module) for node in graph.graph.nodes):
        if isinstance(node.target, torch._ops.OpOverload):
            named = dict(zip((argument.name for argument in node.target._schema.arguments), node.args, strict=False))
            modules = list(node.meta.get("nn_module_stack", {}).values())
            yield str(node.target), {**named, **node.kwargs}, modules[-1][0] if modules else ""
