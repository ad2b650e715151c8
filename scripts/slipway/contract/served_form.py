"""The form in which a served model takes and gives its tensors.

An engine may have a narrower dtype than the network: TensorRT below 10 has int32 in place of int64. And Triton has no
tensor with the batch axis alone: one of shape (batch,) is served as (batch, 1).
"""

import numpy as np

from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError

# Booleans, integers, unsigned integers and floating-point numbers.
_NUMBERS = "biuf"


def served_dims(tensor: Tensor) -> list[int]:
    """Return the shape of a tensor as Triton's metadata state it: -1 for a dynamic size."""
    return [-1, 1] if tensor.shape == (BATCH,) else tensor.dims(batched=False)


def cast(inputs: Tensors, contract: Contract) -> Tensors:
    """Return the inputs of a request with the dtypes of the contract, which are those of the engine.

    Raises SlipwayError with the input whose values would change.
    """
    return {tensor.name: cast_exactly(tensor.name, inputs[tensor.name], tensor.dtype) for tensor in contract.inputs}


def as_served(inputs: Tensors, contract: Contract) -> Tensors:
    """Return the inputs of a request as the server takes them, with its dtypes and shapes."""
    given = cast(inputs, contract)
    return {tensor.name: _with_served_rank(given[tensor.name], tensor) for tensor in contract.inputs}


def as_stated(outputs: Tensors, contract: Contract) -> Tensors:
    """Return the outputs of a server with the shapes that the contract states. Unknown ones stay as they are."""
    flat = {tensor.name for tensor in contract.outputs if tensor.shape == (BATCH,)}
    return {name: array.reshape(-1) if name in flat else array for name, array in outputs.items()}


def cast_exactly(name: str, array: np.ndarray, dtype: str | np.dtype) -> np.ndarray:
    """Return the tensor `name` with another dtype. Raise SlipwayError if one of its values would change."""
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind in _NUMBERS and wanted.kind in _NUMBERS:
        with np.errstate(invalid="ignore", over="ignore"):
            changed = array.astype(wanted)
            returned = changed.astype(array.dtype)
        # A number that wraps around its sign would come back unchanged.
        if np.array_equal(returned, array, equal_nan=array.dtype.kind == "f") and np.array_equal(
            changed < 0, array < 0
        ):
            return changed
    raise SlipwayError(
        f"the model takes {name} as {wanted}, and values of this {array.dtype} would change; give it as {wanted}"
    )


def _with_served_rank(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    return array[:, None] if tensor.shape == (BATCH,) and array.ndim == 1 else array
