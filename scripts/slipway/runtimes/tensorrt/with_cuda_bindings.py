"""A GPU through cuda-bindings, NVIDIA's Python layer over the CUDA driver. See device.open_device."""

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import driver

from .explain import NO_GPU

_ATTRIBUTES = driver.CUdevice_attribute


class _Stream:
    def __init__(self) -> None:
        self.handle = int(checked(driver.cuStreamCreate(0)))

    def synchronize(self) -> None:
        checked(driver.cuStreamSynchronize(self.handle))


class _Event:
    def __init__(self) -> None:
        self.handle = checked(driver.cuEventCreate(0))

    def record(self, stream: _Stream) -> None:
        checked(driver.cuEventRecord(self.handle, stream.handle))

    def synchronize(self) -> None:
        checked(driver.cuEventSynchronize(self.handle))


class Device:
    """A GPU, and all memory that was allocated on it through this object."""

    binding = "cuda-bindings"
    stream, event = _Stream, _Event

    def __init__(self, index: int) -> None:
        try:
            checked(driver.cuInit(0))
            self._device = checked(driver.cuDeviceGet(index))
        except (ValueError, RuntimeError) as error:  # CUDA refuses, or there is no driver library
            raise ValueError(NO_GPU.format(error)) from None
        self.name = checked(driver.cuDeviceGetName(256, self._device)).split(b"\0")[0].decode()
        self.driver_cuda = checked(driver.cuDriverGetVersion())
        self.compute_capability = f"{self._attribute('MAJOR')}.{self._attribute('MINOR')}"
        checked(driver.cuCtxSetCurrent(checked(driver.cuDevicePrimaryCtxRetain(self._device))))
        self._device_memory: list = []
        self._host_memory: list = []

    def _attribute(self, end: str) -> int:
        name = f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{end}"
        return checked(driver.cuDeviceGetAttribute(getattr(_ATTRIBUTES, name), self._device))

    def free_and_total(self) -> tuple[int, int]:
        """Return (free, total) device memory in bytes."""
        return checked(driver.cuMemGetInfo())

    def milliseconds(self, before: _Event, after: _Event) -> float:
        """Return the time (ms) between two recorded events."""
        return checked(driver.cuEventElapsedTime(before.handle, after.handle))

    def allocate(self, nbytes: int) -> int:
        """Return the address of `nbytes` of new device memory. Raise ValueError if there is not enough memory."""
        try:
            memory = checked(driver.cuMemAlloc(nbytes))
        except ValueError as error:
            raise ValueError(
                f"the GPU has no {nbytes / 2**20:.0f} MiB free for buffers ({error}); stop other programs that use it"
            ) from None
        self._device_memory.append(memory)
        return int(memory)

    def pinned(self, nbytes: int) -> np.ndarray:
        """Return page-locked host memory as an array of `nbytes` bytes."""
        address = checked(driver.cuMemAllocHost(nbytes))
        self._host_memory.append(address)
        return np.ctypeslib.as_array((ctypes.c_ubyte * nbytes).from_address(int(address)))

    def upload(self, address: int, array: np.ndarray, stream: _Stream) -> None:
        """Copy a contiguous host array to device memory, asynchronously."""
        checked(driver.cuMemcpyHtoDAsync(address, array.ctypes.data, array.nbytes, stream.handle))

    def download(self, array: np.ndarray, address: int, stream: _Stream) -> None:
        """Copy device memory to a contiguous host array, asynchronously."""
        checked(driver.cuMemcpyDtoHAsync(array.ctypes.data, address, array.nbytes, stream.handle))

    def close(self) -> None:
        """Free all allocated memory and release the context."""
        for memory in self._device_memory:
            checked(driver.cuMemFree(memory))
        for memory in self._host_memory:
            checked(driver.cuMemFreeHost(memory))
        self._device_memory, self._host_memory = [], []
        # A released context must not stay current: TensorRT's CUDA runtime would use it.
        checked(driver.cuCtxSetCurrent(driver.CUcontext(0)))
        checked(driver.cuDevicePrimaryCtxRelease(self._device))


def checked(result: tuple) -> Any:
    """Return the results of a driver call, a tuple that begins with the status, without this status.

    Raises ValueError with CUDA's text if the call failed.
    """
    status, *values = result
    if status != driver.CUresult.CUDA_SUCCESS:
        _, words = driver.cuGetErrorString(status)
        raise ValueError(f"{status.name}: {words.decode() if words else 'unknown CUDA error'}")
    return values[0] if len(values) == 1 else tuple(values) or None
