"""A GPU through PyCUDA. See device.open_device."""

import atexit

import numpy as np
import pycuda.driver as cuda

from .explain import NO_GPU


class Device:
    """A GPU, and all memory that was allocated on it through this object."""

    binding = "pycuda"
    stream, event = cuda.Stream, cuda.Event

    def __init__(self, index: int) -> None:
        try:
            cuda.init()
            device = cuda.Device(index)
        except (cuda.LogicError, cuda.RuntimeError) as error:
            raise ValueError(NO_GPU.format(error)) from None
        self.name = device.name()
        self.driver_cuda = cuda.get_driver_version()
        self.compute_capability = ".".join(map(str, device.compute_capability()))
        self._context = device.retain_primary_context()
        self._context.push()
        self._kept: list = []
        # The interpreter aborts at its end if a context is still current.
        atexit.register(self.close)

    def free_and_total(self) -> tuple[int, int]:
        """Return (free, total) device memory in bytes."""
        return cuda.mem_get_info()

    def milliseconds(self, before: cuda.Event, after: cuda.Event) -> float:
        """Return the time (ms) between two recorded events."""
        return after.time_since(before)

    def allocate(self, nbytes: int) -> int:
        """Return the address of `nbytes` of new device memory. Raise ValueError if there is not enough memory."""
        try:
            memory = cuda.mem_alloc(nbytes)
        except cuda.MemoryError:
            raise ValueError(
                f"the GPU has no {nbytes / 2**20:.0f} MiB free for buffers; stop other programs that use it"
            ) from None
        self._kept.append(memory)
        return int(memory)

    def pinned(self, nbytes: int) -> np.ndarray:
        """Return page-locked host memory as an array of `nbytes` bytes."""
        return cuda.pagelocked_empty((nbytes,), np.uint8)

    def upload(self, address: int, array: np.ndarray, stream: cuda.Stream) -> None:
        """Copy a contiguous host array to device memory, asynchronously."""
        cuda.memcpy_htod_async(address, array, stream)

    def download(self, array: np.ndarray, address: int, stream: cuda.Stream) -> None:
        """Copy device memory to a contiguous host array, asynchronously."""
        cuda.memcpy_dtoh_async(array, address, stream)

    def close(self) -> None:
        """Free all allocated memory and leave the context."""
        if self._context is not None:
            self._kept.clear()
            self._context.pop()
            self._context = None
