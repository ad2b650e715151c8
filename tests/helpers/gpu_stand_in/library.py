"""TensorRT's side of a built engine: plan files of JSON, engines, contexts, the inspector, the logger."""

import enum
import json
import os
import time
import weakref

import numpy as np

from .device import A_RUN_S, Refused

CROP, CLASSES = 4, 5


def write_engine(path, **options):
    """Write an engine of `profiles` (batch sizes), `dtype` (of its input) and, at will, a vice; return the path."""
    path.write_bytes(plan_of(**options))
    return path


def plan_of(**options):
    """Return a serialized engine: JSON, with the defaults of what is not given.

    `weights` are {"kernel", "bias", "gain"} of logits = gain * (kernel . picture + bias), None for `logits_of`;
    `milliseconds` is what a run takes at least, `type` what the inspector calls the type of the weights.
    """
    plan = {
        "profiles": [{"min": 1, "opt": 4, "max": 8}],
        "dtype": "FLOAT",
        "type": "Half",
        "weights": None,
        "refittable": False,
        "milliseconds": 0,
        "vice": None,
        **options,
    }
    return json.dumps(plan).encode()


def logits_of(batch):
    """Return what the engines without weights of their own answer to a batch."""
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
        self.engine.look_up(self.profile)
        addresses = dict(self.addresses)
        stream.put("run", lambda: self.engine.compute(batch, addresses["input"], addresses["logits"]))
        return True


class Inspector:
    def __init__(self, plan):
        self.plan = plan
        self.layers = [f"conv{index}" for index in range(len(plan["profiles"]))]

    def get_layer_information(self, index, style):
        assert style is LayerInformationFormat.JSON
        name = f"{self.layers[index]} [profile {index}]"
        weights = {"Type": self.plan["type"], "Count": 9}
        return json.dumps({"Name": name, "LayerType": "CaskConvolution", "Weights": weights})


class SerializationConfig:
    def __init__(self):
        self.flags = {"EXCLUDE_WEIGHTS"}

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)


class CudaEngine:
    num_io_tensors = 2
    device_memory_size = 4096

    def __init__(self, gpu, log, plan):
        self.gpu, self.log, self.plan = gpu, log, plan
        self.num_optimization_profiles = self.num_layers = len(plan["profiles"])
        self.contexts = weakref.WeakSet()

    @property
    def refittable(self):
        return self.plan["refittable"]

    def serialize(self):
        return plan_of(**self.plan)

    def create_serialization_config(self):
        return SerializationConfig()

    def serialize_with_config(self, config):
        assert "EXCLUDE_WEIGHTS" not in config.flags
        kept = self.plan["refittable"] and "INCLUDE_REFIT" in config.flags
        return plan_of(**self.plan | {"refittable": kept})

    def profiles_in_use(self):
        return {context.profile for context in self.contexts}

    def fail(self, message):
        self.log.log(Severity.ERROR, message)
        return False

    def look_up(self, profile):
        """Say what TensorRT 8.5 does of a tensor that is named in another profile than the first."""
        if profile:
            words = f"bindingIndex 0 is not in profile {profile}. Using bindingIndex = {2 * profile} instead."
            self.log.log(Severity.WARNING, f"ICudaEngine::getProfileDimensions: {words}")

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
        self.look_up(profile_index)
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
        self.gpu.at(target, batch * CLASSES * 4).view(np.float32).reshape(batch, CLASSES)[:] = self.answer(pixels)
        time.sleep(self.plan["milliseconds"] / 1e3)
        self.gpu.clock += A_RUN_S + self.plan["milliseconds"] / 1e3
        self.gpu.did.append(batch)

    def answer(self, pixels):
        if self.plan["weights"] is None:
            return logits_of(pixels)
        kernel, bias, gain = (np.asarray(self.plan["weights"][name]) for name in ("kernel", "bias", "gain"))
        flat = pixels.reshape(len(pixels), -1).astype(np.float32)
        return (flat @ kernel.reshape(CLASSES, -1).T + bias) * gain


def runtime_of(gpu):
    """Return the class Runtime."""

    class Runtime:
        def __init__(self, log):
            self.log = log

        def deserialize_cuda_engine(self, plan):
            print("a library's greeting")
            os.write(1, b"a greeting from C\n")
            try:
                return CudaEngine(gpu, self.log, json.loads(bytes(plan)))
            except ValueError:
                self.log.log(Severity.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed")
                return None

    return Runtime
