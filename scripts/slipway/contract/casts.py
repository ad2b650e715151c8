"""Casts of tensors to the dtypes of a served model, where they change no value.

An engine may have a narrower dtype than the network: TensorRT below 10 has int32 in place of int64.
"""

from collections.abc import Sequence

import numpy as np

from slipway.contract.contract import Tensor, Tensors
from slipway.core.errors import SlipwayError

# Booleans, integers, unsigned integers and floating-point numbers.
_NUMBERS = "biuf"


def cast(inputs: Tensors, tensors: Sequence[Tensor]) -> Tensors:
    """Return the inputs of a request with the dtypes and in the order of `tensors`, which have the same names.

    Raises SlipwayError with the input whose values would change.
    """
    return {tensor.name: cast_exactly(tensor.name, inputs[tensor.name], tensor.dtype) for tensor in tensors}


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
