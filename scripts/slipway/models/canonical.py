"""Write a network's weights in the canonical form, a safetensors file, and load them again exactly.

The file's metadata have each module's version from PyTorch's `state_dict`, because some modules load by their version.
"""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np

from slipway.contract.contract import Tensors
from slipway.core.artifacts import atomic_write
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.models.architectures import build
from slipway.models.loading import load
from slipway.models.programs import load_program

_VERSIONS = "module_versions"
# The inputs of a network whose record has no "inputs".
_ONE_PICTURE = {"input": {"dtype": "float32", "shape": [1, 3, 224, 224]}}


def write_canonical(model: torch.nn.Module, path: Path) -> None:
    """Write the weights of a network to a safetensors file, completely or not at all.

    Raises SlipwayError if the state dict has a value that is not a tensor.
    """
    from safetensors.torch import save

    state = model.state_dict()
    if others := sorted(name for name, value in state.items() if not isinstance(value, torch.Tensor)):
        raise SlipwayError(
            f"the network keeps more than tensors in its state dict ({others[0]}), which no safetensors file holds; "
            "let the factory make it without"
        )
    # safetensors does not write tied weights, which share their memory, so each name gets a copy.
    tensors = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    versions = json.dumps(getattr(state, "_metadata", {}), sort_keys=True)
    data = memoryview(save(tensors, {"format": "pt", _VERSIONS: versions}))
    end = 8 + int.from_bytes(data[:8], "little")
    with atomic_write(path) as partial, partial.open("wb") as file:
        file.write(_with_sorted_metadata(bytes(data[8:end])))
        file.write(data[end:])


def _with_sorted_metadata(header: bytes) -> bytes:
    """Return the header of a safetensors file, after its length (8 bytes), with sorted metadata.

    safetensors writes metadata in random order. Then the same weights would give different files and stale artifacts.
    """
    content = json.loads(header)
    content["__metadata__"] = dict(sorted(content["__metadata__"].items()))
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def inputs_record(sample: Tensors) -> dict:
    """Return {input: {"dtype", "shape"}} of a sample, for the record of the weights."""
    return {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in sample.items()}


def load_model(weights: str | Path, record: dict) -> torch.nn.Module:
    """Build the model of `record`, load the canonical `weights`, and return it in eval mode on the CPU.

    `weights` may be a program, which has its network inside. Raises SlipwayError if the weights do not fit the
    architecture.
    """
    from safetensors import safe_open

    if kind := record.get("program"):
        return load_program(weights, kind)
    inputs = record.get("inputs", _ONE_PICTURE)
    sample = {name: np.zeros(tensor["shape"], tensor["dtype"]) for name, tensor in inputs.items()}
    model = build(record["architecture"], record["arguments"], sample)
    with safe_open(weights, framework="pt") as file:
        state = OrderedDict((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
        state._metadata = json.loads((file.metadata() or {}).get(_VERSIONS, "{}"))
    if differences := load(model, state):
        raise SlipwayError(
            f"{weights} does not fit {record['architecture']} any more: {differences}; run snakemake again"
        )
    return model
