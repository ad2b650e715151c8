"""A GPU in the host's memory, and PyCUDA and cuda-bindings over it."""

import enum
import itertools
from types import ModuleType

import numpy as np

A_COPY_S, A_RUN_S = 1e-6, 1e-5


class Refused(Exception):
    """What a driver call answers other than success."""


class Gpu:
    """Device memory as {address: bytes}, page-locked host memory as {address: array}, streams by handle.

    Its clock, in seconds, moves with its work alone, so that events tell the same however busy the machine is.
    """

    free, total = 2**28, 2**30

    def __init__(self):
        self.memory, self.pinned, self.streams, self.events, self.graphs = {}, {}, {}, {}, {}
        self.allocations, self.clock = 0, 0.0
        self.did = []
        self._numbers = itertools.count(0x7F00_0000_0000, 0x10_0000_0000)

    def number(self):
        return next(self._numbers)

    def _count(self):
        for stream in self.streams.values():
            if stream.recording is not None:
                stream.broken = True
                raise Refused("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
        self.allocations += 1

    def allocate(self, nbytes):
        self._count()
        if nbytes > self.free:
            raise Refused("CUDA_ERROR_OUT_OF_MEMORY")
        address = self.number()
        self.memory[address] = np.zeros(nbytes, np.uint8)
        return address

    def pin(self, nbytes):
        self._count()
        array = np.zeros(nbytes, np.uint8)
        self.pinned[array.ctypes.data] = array
        return array

    def stream(self):
        self._count()
        stream = Stream()
        self.streams[handle := self.number()] = stream
        return handle

    def at(self, address, nbytes):
        found = self.memory.get(int(address))
        if found is None or nbytes > len(found):
            raise Refused("CUDA_ERROR_ILLEGAL_ADDRESS")
        return found[:nbytes]

    def host(self, address, nbytes):
        if address not in self.pinned or nbytes > len(self.pinned[address]):
            raise AssertionError(f"{nbytes} bytes at {address} are not page-locked")
        return self.pinned[address][:nbytes]

    def copy(self, handle, what, target, source):
        def work():
            np.copyto(target, source)
            self.clock += A_COPY_S

        self.streams[int(handle)].put(what, work)

    def record_event(self, event, handle):
        self.streams[int(handle)].put("event", lambda: self.events.update({event: self.clock}))

    def begin(self, handle):
        self.did.append("record")
        self.streams[int(handle)].recording = []

    def end(self, handle):
        stream = self.streams[int(handle)]
        recorded, stream.recording = stream.recording, None
        if stream.broken:
            stream.broken = False
            raise Refused("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        self.graphs[number := self.number()] = recorded
        return number

    def launch(self, graph, handle):
        self.did.append("launch")
        self.streams[int(handle)].pending.extend(self.graphs[graph])


class Stream:
    """Work in order: waiting to be done, or recorded for a graph."""

    def __init__(self):
        self.pending, self.recording, self.broken = [], None, False

    def put(self, what, work):
        (self.pending if self.recording is None else self.recording).append((what, work))

    def synchronize(self):
        if self.recording is not None:
            self.broken = True
            raise Refused("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
        for _, work in self.pending:
            work()
        self.pending.clear()


def pycuda_driver(gpu):
    """Return a module that looks like pycuda.driver."""

    class Error(Exception):
        pass

    class LogicError(Error):
        pass

    class RuntimeError(Error):
        pass

    class MemoryError(Error):
        pass

    class PrimaryContext:
        push = pop = lambda self: None

    class Device:
        def __init__(self, index):
            if index:
                raise LogicError("cuDeviceGet failed: invalid device ordinal")

        name = staticmethod(lambda: "Stand-in GPU")
        compute_capability = staticmethod(lambda: (9, 0))
        retain_primary_context = staticmethod(PrimaryContext)

    def telling(call, *arguments):
        try:
            return call(*arguments)
        except Refused as error:
            raise (MemoryError if "MEMORY" in str(error) else LogicError)(str(error)) from None

    class Stream:
        def __init__(self):
            self.handle = telling(gpu.stream)

        def synchronize(self):
            telling(gpu.streams[self.handle].synchronize)

    class Event:
        def record(self, stream):
            gpu.record_event(self, stream.handle)

        def synchronize(self):
            for stream in gpu.streams.values():
                telling(stream.synchronize)

        def time_since(self, other):
            return (gpu.events[self] - gpu.events[other]) * 1e3

    def pagelocked_empty(shape, dtype):
        return telling(gpu.pin, int(np.prod(shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)

    def memcpy_htod_async(dest, src, stream):
        gpu.copy(stream.handle, "h2d", gpu.at(dest, src.nbytes), gpu.host(src.ctypes.data, src.nbytes))

    def memcpy_dtoh_async(dest, src, stream):
        gpu.copy(stream.handle, "d2h", gpu.host(dest.ctypes.data, dest.nbytes), gpu.at(src, dest.nbytes))

    return module_of(
        "pycuda.driver",
        **{kind.__name__: kind for kind in (LogicError, RuntimeError, MemoryError, Device, Stream, Event)},
        init=lambda: None,
        mem_get_info=lambda: (gpu.free, gpu.total),
        get_driver_version=lambda: 13000,
        mem_alloc=lambda nbytes: telling(gpu.allocate, nbytes),
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
    )


def cuda_driver(gpu):
    """Return a module that looks like cuda.bindings.driver: each call returns its status, then its values."""
    names = ["SUCCESS", "ERROR_OUT_OF_MEMORY", "ERROR_INVALID_DEVICE", "ERROR_ILLEGAL_ADDRESS"]
    names += ["ERROR_STREAM_CAPTURE_UNSUPPORTED", "ERROR_STREAM_CAPTURE_INVALIDATED"]
    statuses = enum.Enum("CUresult", [f"CUDA_{name}" for name in names])

    def returning(call):
        def function(*arguments):
            try:
                found = call(*arguments)
            except Refused as error:
                return (statuses[str(error)], None)
            return (statuses.CUDA_SUCCESS, *(found if isinstance(found, tuple) else () if found is None else (found,)))

        return function

    def get_device(index):
        if index:
            raise Refused("CUDA_ERROR_INVALID_DEVICE")
        return 0

    def elapsed(start, end):
        return (gpu.events[end] - gpu.events[start]) * 1e3

    def synchronize_all(_):
        for stream in gpu.streams.values():
            stream.synchronize()

    def pin(nbytes):
        return gpu.pin(nbytes).ctypes.data

    def upload(target, source, nbytes, handle):
        gpu.copy(handle, "h2d", gpu.at(target, nbytes), gpu.host(source, nbytes))

    def download(target, source, nbytes, handle):
        gpu.copy(handle, "d2h", gpu.host(target, nbytes), gpu.at(source, nbytes))

    calls = {
        "cuInit": lambda flags: None,
        "cuDriverGetVersion": lambda: 13000,
        "cuDeviceGet": get_device,
        "cuDeviceGetName": lambda length, device: b"Stand-in GPU".ljust(length, b"\0"),
        "cuDeviceGetAttribute": lambda attribute, device: attribute,
        "cuDevicePrimaryCtxRetain": lambda device: 1,
        "cuDevicePrimaryCtxRelease": lambda device: None,
        "cuCtxSetCurrent": lambda context: None,
        "cuMemGetInfo": lambda: (gpu.free, gpu.total),
        "cuMemAlloc": gpu.allocate,
        "cuMemFree": gpu.memory.__delitem__,
        "cuMemAllocHost": pin,
        "cuMemFreeHost": gpu.pinned.__delitem__,
        "cuMemcpyHtoDAsync": upload,
        "cuMemcpyDtoHAsync": download,
        "cuStreamCreate": lambda flags: gpu.stream(),
        "cuStreamSynchronize": lambda handle: gpu.streams[handle].synchronize(),
        "cuEventCreate": lambda flags: gpu.number(),
        "cuEventRecord": gpu.record_event,
        "cuEventSynchronize": synchronize_all,
        "cuEventElapsedTime": elapsed,
        "cuStreamBeginCapture": lambda stream, mode: gpu.begin(stream),
        "cuStreamEndCapture": gpu.end,
        "cuGraphInstantiate": lambda graph, flags: graph,
        "cuGraphLaunch": gpu.launch,
    }
    return module_of(
        "cuda.bindings.driver",
        **{name: returning(call) for name, call in calls.items()},
        cuGetErrorString=lambda status: (statuses.CUDA_SUCCESS, status.name.lower().encode()),
        CUresult=statuses,
        CUstream=int,
        CUcontext=int,
        CUdevice_attribute=module_of(
            "CUdevice_attribute",
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=9,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=0,
        ),
        CUstreamCaptureMode=module_of("CUstreamCaptureMode", CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
    )


def module_of(name, **attributes):
    """Return a module that has the attributes."""
    module = ModuleType(name)
    vars(module).update(attributes)
    return module
