"""Write a network's weights in the canonical form, a safetensors file, and load them again exactly.

The file's metadata have each module's version from PyTorch's `state_dict`, because some modules load by their version.
"""

import json
from pathlib import Path

import numpy as np

from slipway.core.artifacts import atomic_write
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.models.architectures import build
from slipway.models.loading import load, state_dict
from slipway.models.programs import program

_VERSIONS = "module_versions"


def write_canonical(model: torch.nn.Module, path: Path) -> None:
    """Write the weights of a network to a safetensors file, completely or not at all.

    Raises SlipwayError if the state dict has a value that is not a tensor.
    """
    from safetensors.torch import save_file

    state = model.state_dict()
    if others := sorted(name for name, value in state.items() if not isinstance(value, torch.Tensor)):
        raise SlipwayError(
            f"the network keeps more than tensors in its state dict ({others[0]}), which no safetensors file holds; "
            "let the factory make it without"
        )
    versions = json.dumps(getattr(state, "_metadata", {}), sort_keys=True)
    with atomic_write(path) as partial:
        # One entry alone: safetensors writes several in random order, so the same weights would give different files.
        save_file(_apart(state), partial, {_VERSIONS: versions})


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors, contiguous and each with its own memory: safetensors does not write tied weights.

    Only the others are copied, since a large network's weights are a good part of the machine's memory.
    """
    apart, taken = {}, set()
    for name, tensor in state.items():
        memory = tensor.untyped_storage().data_ptr()
        is_apart = memory not in taken and tensor.is_contiguous()
        apart[name] = tensor.detach() if is_apart else tensor.detach().clone(memory_format=torch.contiguous_format)
        taken.add(memory)
    return apart


def load_model(weights: str | Path, record: dict) -> torch.nn.Module:
    """Build the model of `record`, load the canonical `weights`, and return it in eval mode on the CPU.

    `weights` may be a program, which has its network inside. Raises SlipwayError if the weights do not fit the
    architecture.
    """
    from safetensors import safe_open

    if record["program"]:
        return program(record["program"]).load(Path(weights))
    sample = {name: np.zeros(tensor["shape"], tensor["dtype"]) for name, tensor in record["inputs"].items()}
    model = build(record["architecture"], record["arguments"], sample)
    with safe_open(weights, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        versions = json.loads(file.metadata()[_VERSIONS])
    if differences := load(model, state_dict(tensors, versions)):
        raise SlipwayError(
            f"{weights} does not fit {record['architecture']} any more: {differences}; run snakemake again"
        )
    return model
