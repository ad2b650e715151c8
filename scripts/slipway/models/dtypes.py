"""Which tensors of a checkpoint may become a network's by a cast, and which are numbers of another kind."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def refusal(tensor: "torch.Tensor", dtype: "torch.dtype") -> str | None:
    """Return why a tensor cannot be cast to the dtype of a network's, or None if it can.

    Between float formats of two bytes and more the cast is the usual one; whole numbers and truth values become others
    only where nothing is lost.
    """
    import torch

    if tensor.dtype == dtype:
        return None
    words = f"{name_of(tensor.dtype)}, not {name_of(dtype)}"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return words
    if dtype.is_floating_point or dtype.is_complex:
        if not (_is_wide_float(tensor.dtype) or (tensor.dtype.is_complex and dtype.is_complex)):
            return words
        overflows = torch.isfinite(tensor).all() and not torch.isfinite(tensor.to(dtype)).all()
        return f"{words}, which its largest numbers exceed" if overflows else None
    if tensor.dtype.is_complex:
        return words
    return None if torch.equal(tensor.to(dtype).to(tensor.dtype), tensor) else words


def name_of(dtype: "torch.dtype") -> str:
    """Return the name of a dtype, such as float16."""
    return str(dtype).removeprefix("torch.")


def _is_wide_float(dtype: "torch.dtype") -> bool:
    """Say whether a dtype is a float of two bytes or more; shorter ones are quantized and have scales elsewhere."""
    return dtype.is_floating_point and dtype.itemsize >= 2
