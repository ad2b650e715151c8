"""Decide which tensors of a checkpoint may be cast to the network's dtype, and which are refused."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def refusal(tensor: "torch.Tensor", dtype: "torch.dtype") -> str | None:
    """Return the reason why a tensor cannot be cast to the dtype of the network's tensor; None if it can.

    Floats of two bytes and more are cast to each other unless a number overflows. Integers and booleans are cast only
    if no value changes.
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
    """Return whether a dtype is a float of two bytes or more. Shorter floats are quantized and need scales."""
    return dtype.is_floating_point and dtype.itemsize >= 2
