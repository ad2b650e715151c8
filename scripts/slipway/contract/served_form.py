"""Convert tensors between the contract's form and the form of requests and answers of a server.

An engine may have a narrower dtype than the network: TensorRT below 10 has int32 in place of int64. Triton has no
tensor with the batch axis alone, so a tensor of shape (batch,) is served as (batch, 1).
"""

import numpy as np

from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError

# Booleans, integers, unsigned integers and floating-point numbers.
_NUMBERS = "biuf"


def served_dims(tensor: Tensor) -> list[int]:
    """Return the shape of a tensor as in Triton's metadata, where a dynamic size is -1.

    A tensor of the shape (batch,) is served as (batch, 1).
    """
    return [-1, 1] if tensor.shape == (BATCH,) else tensor.dims(batched=False)


def cast(inputs: Tensors, contract: Contract) -> Tensors:
    """Return {input: array} of a request in the dtypes of an engine's contract.

    Raises SlipwayError with the name of an input whose values would change.
    """
    return {tensor.name: cast_exactly(tensor.name, inputs[tensor.name], tensor.dtype) for tensor in contract.inputs}


def as_served(inputs: Tensors, contract: Contract) -> Tensors:
    """Return the inputs of a request, {input: array}, in the dtypes and shapes in which the server takes them.

    `contract` is the engine's contract.
    """
    arrays = cast(inputs, contract)
    flat = {tensor.name for tensor in contract.inputs if tensor.shape == (BATCH,)}
    return {name: array[:, None] if name in flat and array.ndim == 1 else array for name, array in arrays.items()}


def as_stated(outputs: Tensors, contract: Contract) -> Tensors:
    """Return the outputs of a server, {output: array}, in the shapes of the contract.

    Outputs that are not in the contract stay unchanged.
    """
    flat = {tensor.name for tensor in contract.outputs if tensor.shape == (BATCH,)}
    return {name: array.reshape(-1) if name in flat else array for name, array in outputs.items()}


def cast_exactly(name: str, array: np.ndarray, dtype: str | np.dtype) -> np.ndarray:
    """Return `array`, the tensor called `name`, with another dtype. Raise SlipwayError if a value would change."""
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind in _NUMBERS and wanted.kind in _NUMBERS:
        with np.errstate(invalid="ignore", over="ignore"):
            changed = array.astype(wanted)
            same = np.array_equal(changed.astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
        if same and np.array_equal(changed < 0, array < 0):  # a number that wraps around its sign comes back unchanged
            return changed
    raise SlipwayError(
        f"the model takes {name} as {wanted}, and values of this {array.dtype} would change; give it as {wanted}"
    )
