"""Write a network's weights in the canonical form, a safetensors file, and load this file again exactly.

The metadata of the file have the version of each module from PyTorch's `state_dict`, since some modules load older
versions differently.
"""

import json
import os
import re
from pathlib import Path

import numpy as np

from slipway.core.artifacts import atomic_write
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.models.architectures import build
from slipway.models.loading import load, require_tensors, state_dict
from slipway.models.programs import program

_VERSIONS = "module_versions"


def write_canonical(model: torch.nn.Module, path: Path) -> None:
    """Write the weights of a network to a safetensors file, completely or not at all.

    Raises SlipwayError if the state dict has a value that is not a tensor, and OSError if the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    require_tensors(model)
    state = model.state_dict()
    versions = json.dumps(getattr(state, "_metadata", {}), sort_keys=True)
    with atomic_write(path) as partial:
        # A single entry: safetensors writes several entries in random order, so the file's bytes would vary.
        try:
            save_file(_apart(state), partial, {_VERSIONS: versions})
        except SafetensorError as error:
            if number := re.search(r"\(os error (\d+)\)", str(error)):
                raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
            raise


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors, contiguous and without shared memory, since safetensors does not write tied weights.

    A tensor is copied only if it is not contiguous, or shares memory with an earlier tensor. So a large network needs
    little more memory.
    """
    apart, taken = {}, set()
    for name, tensor in state.items():
        memory = tensor.untyped_storage().data_ptr()
        is_apart = memory not in taken and tensor.is_contiguous()
        apart[name] = tensor.detach() if is_apart else tensor.detach().clone(memory_format=torch.contiguous_format)
        taken.add(memory)
    return apart


def load_model(weights: str | Path, record: dict) -> torch.nn.Module:
    """Return the network whose weights are in a file, in eval mode on the CPU.

    `weights` is a safetensors file that `write_canonical` wrote, or a program: a file that contains its network.
    `record` is the content of weights.json, which says how the network is made. Raises SlipwayError if the weights do
    not fit the architecture.
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
