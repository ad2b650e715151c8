"""A GPU's memory, streams, events and CUDA graphs, through PyCUDA or cuda-bindings.

PyCUDA is used if both are installed. PyCUDA has no CUDA graphs, so CUDA graphs need cuda-bindings in any case.
"""

import importlib
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any


def open_device(index: int = 0, binding: str | None = None) -> Any:
    """Return the device object of the visible GPU number `index`, and make its primary context current.

    `binding` is "pycuda" or "cuda-bindings"; with None, the first package that can be imported. A device object has:

        name, compute_capability ("9.0"), driver_cuda (13000 for CUDA 13.0), binding
        free_and_total()                    bytes of device memory
        stream()                            .handle (int), .synchronize()
        event()                             .record(stream), .synchronize()
        milliseconds(before, after)         time between two recorded events
        allocate(nbytes)                    address (int) of device memory, valid until close()
        pinned(nbytes)                      page-locked NumPy array of bytes, valid until close()
        upload(address, array, stream), download(array, address, stream)
        close()                             frees all allocations, and leaves the context

    Raises ValueError without a GPU, or without such a package.
    """
    reasons = []
    for name, module in (("pycuda", "with_pycuda"), ("cuda-bindings", "with_cuda_bindings")):
        if binding in (None, name):
            try:
                return importlib.import_module(f".{module}", __package__).Device(index)
            except ImportError as error:
                reasons.append(f"{name}: {error}")
    raise ValueError(
        f"a TensorRT engine runs through PyCUDA or cuda-bindings, and neither can be imported ({'; '.join(reasons)}); "
        "install one beside TensorRT"
    )


def describe_gpu() -> dict:
    """Return {"name", "compute_capability", "memory_bytes", "driver", "driver_cuda", "binding"} for a build record.

    Raises ValueError in the same cases as `open_device`.
    """
    with closing(open_device()) as device:
        return {
            "name": device.name,
            "compute_capability": device.compute_capability,
            "memory_bytes": device.free_and_total()[1],
            "driver": _driver_release(),
            "driver_cuda": f"{device.driver_cuda // 1000}.{device.driver_cuda % 1000 // 10}",
            "binding": device.binding,
        }


def _driver_release() -> str | None:
    """Return the release of the NVIDIA driver, from the kernel module; None if a container hides the module."""
    try:
        match = re.search(r"\d+\.\d+(\.\d+)?", Path("/proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        return None
    return match[0] if match else None


def gpu_here() -> str:
    """Return this machine's GPU in one line: its name and compute capability. Raise ValueError without a GPU."""
    with closing(open_device()) as device:
        return f"{device.name} (compute capability {device.compute_capability})"


def why_no_graphs() -> str | None:
    """Return the reason why CUDA graphs are not available; None if CUDA graphs are available."""
    try:
        from cuda.bindings import driver  # noqa: F401
    except ImportError as error:
        return f"cuda-bindings cannot be imported ({error})"
    return None


def captured(stream: Any, work: Callable[[], None]) -> Callable[[], None]:
    """Capture `work` on a stream as a CUDA graph, and return the function that launches the graph.

    `work` must have run once before, so that it allocates nothing in the capture. Raises ValueError if the capture
    fails.
    """
    from cuda.bindings import driver

    from .with_cuda_bindings import checked

    handle = driver.CUstream(int(stream.handle))
    checked(driver.cuStreamBeginCapture(handle, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
    try:
        work()
    finally:
        graph = checked(driver.cuStreamEndCapture(handle))
    # The function to instantiate a graph with flags has different names in CUDA 11 to 13.
    instantiate = getattr(driver, "cuGraphInstantiateWithFlags", driver.cuGraphInstantiate)
    launched = checked(instantiate(graph, 0))
    return lambda: checked(driver.cuGraphLaunch(launched, handle))
