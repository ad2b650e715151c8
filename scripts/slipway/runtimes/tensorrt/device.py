"""A GPU's memory, streams and events, through PyCUDA if it is installed, else through cuda-bindings."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def open_device(index: int = 0, binding: str | None = None) -> Any:
    """Return the visible GPU number `index`, with its primary context current.

    `binding` is "pycuda" or "cuda-bindings". None takes the first one that can be imported. Both kinds of device have:

        name, compute_capability ("9.0"), driver_cuda (13000 for CUDA 13.0), binding
        free_and_total()                    bytes of device memory
        stream()                            .handle (int), .synchronize()
        event()                             .record(stream), .synchronize(), .milliseconds_since(earlier)
        allocate(nbytes)                    address (int) of device memory, valid until close()
        pinned(shape, dtype)                page-locked NumPy array, valid until close()
        upload(address, array, stream), download(array, address, stream)
        close()

    Raises ValueError if there is no GPU, or neither package.
    """
    reasons = []
    for name, module in (("pycuda", "with_pycuda"), ("cuda-bindings", "with_cuda_bindings")):
        if binding in (None, name):
            try:
                return _open(module, index)
            except ImportError as error:
                reasons.append(f"{name}: {error}")
    raise ValueError(
        f"a TensorRT engine runs through PyCUDA or cuda-bindings, and neither can be imported ({'; '.join(reasons)}); "
        "install one beside TensorRT"
    )


def _open(module: str, index: int) -> Any:
    if module == "with_pycuda":
        from .with_pycuda import Device
    else:
        from .with_cuda_bindings import Device
    return Device(index)


@contextlib.contextmanager
def opened(index: int = 0) -> Iterator[Any]:
    """Yield the GPU number `index`. At the end, free its allocations and leave its context."""
    device = open_device(index)
    try:
        yield device
    finally:
        device.close()


def describe_gpu(index: int = 0) -> dict:
    """Return the facts about the GPU for a build record: name, compute capability, bytes, driver, the driver's CUDA."""
    with opened(index) as device:
        return {
            "name": device.name,
            "compute_capability": device.compute_capability,
            "memory_bytes": device.free_and_total()[1],
            "driver": _driver_release(),
            "driver_cuda": f"{device.driver_cuda // 1000}.{device.driver_cuda % 1000 // 10}",
            "binding": device.binding,
        }


def _driver_release() -> str | None:
    """Return the NVIDIA driver's release from the kernel module; None if a container hides it."""
    try:
        match = re.search(r"\d+\.\d+(\.\d+)?", Path("/proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        return None
    return match[0] if match else None


def gpu_here(index: int = 0) -> str:
    """Return the name and compute capability of a GPU in one line. Raise ValueError if there is none."""
    with opened(index) as device:
        return f"{device.name} (compute capability {device.compute_capability})"
