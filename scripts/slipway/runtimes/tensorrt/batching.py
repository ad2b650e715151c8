"""Check requests, {input: array}, against the inputs of an engine, and join them along axis 0 into one batch."""

from collections.abc import Sequence

import numpy as np

Tensors = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]


def joined_shapes(inputs: Sequence[dict], requests: Sequence[Tensors], batched: bool) -> Shapes:
    """Return {input: shape} of requests that are joined along axis 0.

    `inputs` are the inputs of an engine, [{"name", "dtype", "shape"}], in which -1 is a dynamic size. `batched` says
    whether axis 0 is a batch axis. Raises ValueError if a request does not fit the inputs or the other requests. Also
    raises ValueError for several requests to an engine without a batch axis.
    """
    for request in requests:
        _require_inputs(inputs, request)
        if batched and len({len(array) for array in request.values()}) > 1:
            raise ValueError(f"the inputs differ in their batch size: {_listed(request)}")
    if len(requests) == 1:
        return {tensor["name"]: requests[0][tensor["name"]].shape for tensor in inputs}
    if not batched:
        raise ValueError("the engine has no batch axis, so it runs one request at a time")
    for request in requests:
        if any(array.shape[1:] != requests[0][name].shape[1:] for name, array in request.items()):
            raise ValueError(
                f"requests of different sizes cannot run as one batch: {_listed(requests[0])} and {_listed(request)}"
            )
    batch = sum(len(next(iter(request.values()))) for request in requests)
    return {tensor["name"]: (batch, *requests[0][tensor["name"]].shape[1:]) for tensor in inputs}


def split(batch: Tensors, largest: int) -> list[Tensors]:
    """Return the parts of a batch, {input: array}, in their order along axis 0. Each has at most `largest` samples."""
    starts = range(0, len(next(iter(batch.values()))), largest)
    return [{name: array[start : start + largest] for name, array in batch.items()} for start in starts]


def _require_inputs(inputs: Sequence[dict], request: Tensors) -> None:
    """Raise ValueError unless a request has exactly the engine's inputs, with their dtypes and fixed sizes.

    `inputs` are those of the engine, [{"name", "dtype", "shape"}], in which -1 is a dynamic size. The check is strict,
    because NumPy would cast and repeat an array that does not fit. There is one exception: TensorRT before 10 has int32
    in place of int64. So an int64 array passes for an int32 input, if its values fit into int32.
    """
    if set(request) != {tensor["name"] for tensor in inputs}:
        names = ", ".join(tensor["name"] for tensor in inputs)
        raise ValueError(f"the engine takes the inputs {names}, not {', '.join(request) or 'none'}")
    for tensor in inputs:
        array, dtype = request[tensor["name"]], np.dtype(tensor["dtype"])
        fits = len(array.shape) == len(tensor["shape"]) and all(
            size in (-1, given) for size, given in zip(tensor["shape"], array.shape, strict=True)
        )
        if not fits or not (array.dtype == dtype or (array.dtype == np.int64 and dtype == np.int32)):
            sizes = ", ".join("?" if size == -1 else str(size) for size in tensor["shape"])
            raise ValueError(f"the engine takes {dtype} ({sizes}) as {tensor['name']}, not {array.dtype} {array.shape}")
        if array.dtype != dtype and not np.array_equal(array.astype(dtype), array):
            raise ValueError(
                f"{tensor['name']} has values from {array.min()} to {array.max()}, but the engine computes with it in "
                f"{dtype}, which TensorRT before 10 has instead of int64"
            )


def _listed(request: Tensors) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in request.items())
