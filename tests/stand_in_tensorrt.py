"""Stand-ins for a GPU, PyCUDA, cuda-bindings and TensorRT 8.5, so that what calls them runs without a GPU.

They are strict where the real ones are: work on a stream is done when the stream is waited for, not before; nothing may
be allocated or waited for while a CUDA graph is recorded; addresses must be allocated, transfers page-locked; two
contexts of an engine cannot share an optimization profile. An "engine" is a file of JSON (see `write_engine`) that
multiplies each picture with fixed weights.
"""

import enum
import itertools
import json
import os
import time
import weakref
from pathlib import Path
from types import ModuleType

import numpy as np

CROP, CLASSES = 4, 5


class Refused(Exception):
    """What a driver call answers other than success."""


class Gpu:
    """Device memory as {address: bytes}, page-locked host memory as {address: array}, streams by handle."""

    free, total = 2**28, 2**30

    def __init__(self):
        self.memory, self.pinned, self.streams, self.events, self.graphs = {}, {}, {}, {}, {}
        self.allocations = 0
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
        self.streams[int(handle)].put(what, lambda: np.copyto(target, source))

    def record_event(self, event, handle):
        self.streams[int(handle)].put("event", lambda: self.events.update({event: time.perf_counter()}))

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


def write_engine(path, **options):
    """Write an engine of `profiles` (batch sizes), `dtype` (of its input) and, at will, a vice; return the path."""
    plan = {"profiles": [{"min": 1, "opt": 4, "max": 8}], "dtype": "FLOAT", "vice": None, **options}
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def logits_of(batch):
    """Return what the engines answer to a batch."""
    weights = np.random.default_rng(7).standard_normal((3 * CROP * CROP, CLASSES), dtype=np.float32)
    return batch.reshape(len(batch), -1).astype(np.float32) @ weights


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity


TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
DataType = enum.Enum("DataType", ["FLOAT", "HALF", "UINT8"])
LayerInformationFormat = enum.Enum("LayerInformationFormat", ["ONELINE", "JSON"])


class Context:
    def __init__(self, engine):
        self.engine = engine
        self.profile = None if 0 in engine.profiles_in_use() else 0
        self.batch, self.addresses, self.seen = None, {}, set()

    def set_optimization_profile_async(self, profile, handle):
        assert isinstance(handle, int)
        if profile in self.engine.profiles_in_use():
            return self.engine.fail(f"profile {profile} has been chosen for another context")
        self.profile = profile
        return True

    def set_input_shape(self, name, shape):
        assert (name, tuple(shape[1:])) == ("input", (3, CROP, CROP))
        if self.profile is None:
            return self.engine.fail("no optimization profile")
        sizes = self.engine.plan["profiles"][self.profile]
        if not sizes["min"] <= shape[0] <= sizes["max"]:
            return self.engine.fail(f"{shape} is not within the profile {sizes}")
        self.batch = shape[0]
        return True

    def set_tensor_address(self, name, memory):
        assert isinstance(memory, int)
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        gpu, batch = self.engine.gpu, self.batch
        stream = gpu.streams[stream_handle]
        if batch is None or self.engine.plan["vice"] == "refuses":
            return self.engine.fail("cannot enqueue")
        if self.engine.plan["vice"] == "dies":
            os._exit(7)
        try:
            if self.engine.plan["vice"] == "waits":
                stream.synchronize()
            if batch not in self.seen:
                gpu.allocate(16)
                self.seen.add(batch)
        except Refused as error:
            return self.engine.fail(str(error))
        addresses = dict(self.addresses)
        stream.put("run", lambda: self.engine.compute(batch, addresses["input"], addresses["logits"]))
        return True


class Inspector:
    def __init__(self, plan):
        self.layers = [f"conv{index}" for index in range(len(plan["profiles"]))]

    def get_layer_information(self, index, style):
        assert style is LayerInformationFormat.JSON
        name = f"{self.layers[index]} [profile {index}]"
        return json.dumps({"Name": name, "LayerType": "CaskConvolution", "Weights": {"Type": "Half", "Count": 9}})


class CudaEngine:
    num_io_tensors = 2
    device_memory_size = 4096

    def __init__(self, gpu, log, plan):
        self.gpu, self.log, self.plan = gpu, log, plan
        self.num_optimization_profiles = self.num_layers = len(plan["profiles"])
        self.contexts = weakref.WeakSet()

    def profiles_in_use(self):
        return {context.profile for context in self.contexts}

    def fail(self, message):
        self.log.log(Severity.ERROR, message)
        return False

    def get_tensor_name(self, index):
        return ["input", "logits"][index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name == "input" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return DataType[self.plan["dtype"]] if name == "input" else DataType.FLOAT

    def get_tensor_shape(self, name):
        return (-1, 3, CROP, CROP) if name == "input" else (-1, CLASSES)

    def get_tensor_profile_shape(self, name, profile_index):
        assert name == "input"
        sizes = self.plan["profiles"][profile_index]
        return [(sizes[end], 3, CROP, CROP) for end in ("min", "opt", "max")]

    def create_execution_context(self):
        context = Context(self)
        self.contexts.add(context)
        return context

    def create_engine_inspector(self):
        return Inspector(self.plan)

    def compute(self, batch, source, target):
        dtype = {"FLOAT": np.float32, "UINT8": np.uint8}[self.plan["dtype"]]
        shape = (batch, 3, CROP, CROP)
        pixels = self.gpu.at(source, int(np.prod(shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)
        self.gpu.at(target, batch * CLASSES * 4).view(np.float32).reshape(batch, CLASSES)[:] = logits_of(pixels)
        self.gpu.did.append(batch)


def tensorrt(gpu):
    """Return a module that looks like TensorRT 8.5's."""

    class Runtime:
        def __init__(self, log):
            self.log = log

        def deserialize_cuda_engine(self, plan):
            print("a library's greeting")
            os.write(1, b"a greeting from C\n")
            try:
                return CudaEngine(gpu, self.log, json.loads(plan))
            except ValueError:
                self.log.log(Severity.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed")
                return None

    return _module(
        "tensorrt",
        __version__="8.5.3.1",
        Runtime=Runtime,
        ILogger=ILogger,
        TensorIOMode=TensorIOMode,
        DataType=DataType,
        LayerInformationFormat=LayerInformationFormat,
    )


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

    return _module(
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
    return _module(
        "cuda.bindings.driver",
        **{name: returning(call) for name, call in calls.items()},
        cuGetErrorString=lambda status: (statuses.CUDA_SUCCESS, status.name.lower().encode()),
        CUresult=statuses,
        CUstream=int,
        CUcontext=int,
        CUdevice_attribute=_module(
            "CUdevice_attribute",
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=9,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=0,
        ),
        CUstreamCaptureMode=_module("CUstreamCaptureMode", CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
    )


def stand_ins(gpu, *bindings):
    """Return what sys.modules must hold for TensorRT and the bindings ("pycuda", "cuda-bindings") on this GPU.

    A binding that is not named cannot be imported.
    """
    modules = dict.fromkeys(("pycuda", "pycuda.driver", "cuda", "cuda.bindings", "cuda.bindings.driver"))
    if "pycuda" in bindings:
        driver = pycuda_driver(gpu)
        modules |= {"pycuda": _module("pycuda", driver=driver), "pycuda.driver": driver}
    if "cuda-bindings" in bindings:
        driver = cuda_driver(gpu)
        package = _module("cuda.bindings", driver=driver)
        modules |= {"cuda": _module("cuda", bindings=package), "cuda.bindings": package, "cuda.bindings.driver": driver}
    return {**modules, "tensorrt": tensorrt(gpu)}


def write_interpreter(folder, python, *bindings):
    """Write a Python interpreter that has the stand-ins instead of the real packages; return its path."""
    site = folder / "site"
    site.mkdir()
    here = Path(__file__).resolve().parent
    (site / "sitecustomize.py").write_text(
        f"import sys\nimport stand_in_tensorrt as the\nsys.modules.update(the.stand_ins(the.Gpu(), *{bindings!r}))\n",
        encoding="utf-8",
    )
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{site}:{here}" exec "{python}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def _module(name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    return module
