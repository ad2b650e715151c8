"""Open the first visible GPU in NVIDIA's management library (NVML), and read its properties."""

import contextlib
import os
from types import ModuleType
from typing import Any

from slipway.core.errors import SlipwayError


def open_device() -> tuple[ModuleType, Any]:
    """Return (pynvml, NVML's handle of the first visible GPU). NVML stays open until the process ends.

    Raises SlipwayError if nvidia-ml-py is not installed, or if NVML fails.
    """
    try:
        import pynvml
    except ImportError:
        raise SlipwayError(
            "the GPU's clocks and power cannot be read: nvidia-ml-py is not installed; pip install nvidia-ml-py"
        ) from None
    device = visible_device(os.environ.get("CUDA_VISIBLE_DEVICES"))
    try:
        pynvml.nvmlInit()
        if isinstance(device, int):
            return pynvml, pynvml.nvmlDeviceGetHandleByIndex(device)
        # A UUID may be shortened.
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        matching = (handle for handle in handles if pynvml.nvmlDeviceGetUUID(handle).startswith(device))
        return pynvml, next(matching, None) or pynvml.nvmlDeviceGetHandleByUUID(device)
    except pynvml.NVMLError as error:
        raise SlipwayError(
            f"the GPU's clocks and power cannot be read: NVML says '{error}'; it comes with NVIDIA's driver, and in a "
            "container with the driver capability `utility`"
        ) from None


def query(nvml: ModuleType, function: str, *arguments: object) -> Any:
    """Return the result of NVML's `function` for `arguments`; None if the GPU, driver or virtual machine lacks it.

    `nvml` is the module pynvml. `function` is such as "nvmlDeviceGetName".
    """
    with contextlib.suppress(nvml.NVMLError, AttributeError):
        return getattr(nvml, function)(*arguments)
    return None


def compute_capability(nvml: ModuleType, device: Any) -> str | None:
    """Return the compute capability of a GPU, such as "9.0"; None if NVML does not report it.

    `nvml` and `device` are the results of `open_device`.
    """
    capability = query(nvml, "nvmlDeviceGetCudaComputeCapability", device)
    return None if capability is None else f"{capability[0]}.{capability[1]}"


def visible_device(visible: str | None) -> int | str:
    """Return the index or UUID of the first GPU in `visible`, the value of CUDA_VISIBLE_DEVICES; 0 if it is not set.

    Raises SlipwayError if `visible` hides all GPUs.
    """
    if visible is None:
        return 0
    first = visible.split(",")[0].strip()
    if first.isdigit():
        return int(first)
    if first.startswith(("GPU-", "MIG-")):
        return first
    raise SlipwayError(f"CUDA_VISIBLE_DEVICES is '{visible}', which hides every GPU; unset it, or name one")
