"""TensorRT 8.5's side of what comes before an engine: parser, network, builder, timing cache; and the refitter.

The parser takes graphs of one convolution and a gain: see networks.py. What a layer's weights are is a view of the
parser's memory, which is overwritten when the network is gone, as the real one's is freed.
"""

import enum
import itertools
import weakref

import numpy as np

from .library import DataType, Severity, plan_of

WeightsRole = enum.Enum("WeightsRole", ["KERNEL", "BIAS", "SHIFT", "SCALE", "CONSTANT", "ANY"])
LayerType = enum.Enum("LayerType", ["CONVOLUTION", "CONSTANT", "SHUFFLE", "ELEMENTWISE", "QUANTIZE", "DEQUANTIZE"])
BuilderFlag = enum.Enum("BuilderFlag", ["FP16", "INT8", "TF32", "REFIT"])
NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", ["EXPLICIT_BATCH"], start=0)
MemoryPoolType = enum.Enum("MemoryPoolType", ["WORKSPACE"])
ProfilingVerbosity = enum.Enum("ProfilingVerbosity", ["DETAILED"])
TacticSource = enum.IntEnum("TacticSource", ["CUBLAS", "JIT_CONVOLUTIONS"], start=0)
SerializationFlag = enum.Enum("SerializationFlag", ["EXCLUDE_WEIGHTS", "INCLUDE_REFIT"])
KINDS = {
    "Mul": LayerType.ELEMENTWISE,
    "Flatten": LayerType.SHUFFLE,
    "QuantizeLinear": LayerType.QUANTIZE,
    "DequantizeLinear": LayerType.DEQUANTIZE,
}


class ILayer:
    """A layer as network.get_layer gives it: its weights show once its class is what it is."""

    def __init__(self, name, kind, memory):
        self.name, self.type, self._memory = name, kind, memory


class IConvolutionLayer(ILayer):
    kernel = property(lambda self: _view(self._memory, "kernel"))
    bias = property(lambda self: _view(self._memory, "bias"))


class IConstantLayer(ILayer):
    weights = property(lambda self: _view(self._memory, "weights"))


def _view(memory, name):
    return memory[name].reshape(-1)[:] if name in memory else np.empty(0, np.float32)


class ParserError:
    def __init__(self, words):
        self.desc, self.node, self.code = lambda: words, lambda: -1, lambda: "INTERNAL_ERROR"


class Network:
    def __init__(self):
        self.layers, self.memory, self.inputs, self.outputs = [], [], [], []
        self.name = "Unnamed Network 0"
        weakref.finalize(self, _overwrite, self.memory)

    num_layers = property(lambda self: len(self.layers))
    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))

    def get_layer(self, index):
        return ILayer(*self.layers[index])

    def get_input(self, index):
        return self.inputs[index]

    def get_output(self, index):
        return self.outputs[index]

    def add(self, name, kind, **weights):
        copies = {role: np.array(values) for role, values in weights.items()}
        self.memory += copies.values()
        self.layers.append((name, kind, copies))


def _overwrite(memory):
    for values in memory:
        values[...] = 99


class OnnxParser:
    """Reads what networks.py writes; as the real one, it lives as long as its network."""

    def __init__(self, network, log):
        self._network, self._errors = weakref.ref(network), []
        network.parser = self

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index):
        return self._errors[index]

    def parse_from_file(self, path):
        import onnx
        from onnx import numpy_helper

        assert isinstance(path, str)
        try:
            model = onnx.load(path)
        except Exception as error:  # whatever protobuf says
            self._errors.append(ParserError(f"Failed to parse the ONNX model: {error}"))
            return False
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        network = self._network()
        network.inputs += map(_Tensor, model.graph.input)
        network.outputs += map(_Tensor, model.graph.output)
        for node in model.graph.node:
            for name in node.input:
                if node.op_type != "Conv" and name in arrays:
                    network.add(name, LayerType.CONSTANT, weights=arrays[name])
            if node.op_type == "Conv":
                kernel = {"kernel": arrays[node.input[1]]} if node.input[1] in arrays else {}
                network.add(node.name, LayerType.CONVOLUTION, **kernel, bias=arrays[node.input[2]])
            else:
                network.add(node.name, KINDS[node.op_type])
        return True


class _Tensor:
    is_shape_tensor = False
    dtype = DataType.FLOAT

    def __init__(self, value):
        sizes = value.type.tensor_type.shape.dim
        self.name, self.shape = value.name, (-1, *(size.dim_value for size in sizes[1:]))


class TimingCache:
    """What was measured, a line each; that of another version is refused, and nothing is made of what is no cache.

    A line is a kernel, or a kernel and what it took, such as "a=1"; of two for one kernel the first stays.
    """

    def __init__(self, content):
        self.lines = set(content.decode().split())

    def serialize(self):
        return " ".join(sorted(self.lines)).encode()

    def combine(self, other, ignore_mismatch):
        assert ignore_mismatch is False
        known = {line.split("=")[0] for line in self.lines}
        self.lines |= {line for line in other.lines if line.split("=")[0] not in known}
        return True


class Config:
    def __init__(self):
        self.flags, self.profiles, self.cache = set(), [], None

    def set_memory_pool_limit(self, pool, size):
        assert isinstance(pool, MemoryPoolType)
        assert isinstance(size, int)

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile.sizes)
        return len(self.profiles) - 1

    def set_tactic_sources(self, sources):
        assert isinstance(sources, int)

    def create_timing_cache(self, content):
        return None if content == b"damaged" else TimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert isinstance(cache, TimingCache)
        if "foreign" in cache.lines:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class Profile:
    def set_shape(self, name, smallest, best, largest):
        assert name == "input"
        self.sizes = {"min": smallest[0], "opt": best[0], "max": largest[0]}


def builder_of(gpu):
    """Return the class Builder. What `gpu.builds` lists goes into the next engines' plans, an entry a build."""
    gpu.builds = []

    class Builder:
        def __init__(self, log):
            self.log = log

        def create_network(self, flags):
            assert flags == 1 << NetworkDefinitionCreationFlag.EXPLICIT_BATCH
            return Network()

        create_builder_config = staticmethod(Config)
        create_optimization_profile = staticmethod(Profile)

        def build_serialized_network(self, network, config):
            if config.cache is not None:
                measured = itertools.product(sorted(config.flags), (name for name, *_ in network.layers))
                config.cache.lines |= {f"{flag}:{name}" for flag, name in measured}
            types = {"INT8": "Int8", "FP16": "Half"}
            plan = {
                "profiles": config.profiles,
                "type": next((types[flag] for flag in types if flag in config.flags), "Float"),
                "weights": _weights_of(network),
                "refittable": "REFIT" in config.flags,
            }
            return plan_of(**plan | (gpu.builds.pop(0) if gpu.builds else {}))

    return Builder


def _weights_of(network):
    held = {(name, role): values for name, _, memory in network.layers for role, values in memory.items()}
    kernel = held.get(("conv", "kernel"), held.get(("kernel", "weights")))
    weights = {"kernel": kernel, "bias": held["conv", "bias"], "gain": held["gain", "weights"]}
    return {name: values.reshape(-1).tolist() for name, values in weights.items()}


def refitter_of(gpu, several_profiles=False):
    """Return the class Refitter; with `several_profiles` it takes engines of more than one, as from TensorRT 8.6 on.

    `gpu.forgets` names weights that a refit leaves as they are, though it says that all went well; what `gpu.refits`
    lists goes into the plans of the next engines that are refitted.
    """
    gpu.forgets, gpu.refits = set(), []
    places = {
        ("conv", WeightsRole.KERNEL): "kernel",
        ("conv", WeightsRole.BIAS): "bias",
        ("gain", WeightsRole.CONSTANT): "gain",
    }

    class Refitter:
        def __init__(self, engine, log):
            self.engine, self.log, self.given = engine, log, {}
            if not engine.refittable or (engine.num_optimization_profiles > 1 and not several_profiles):
                log.log(Severity.ERROR, "ground expressions with duplicate layer names and role")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def get_all(self):
            return [list(side) for side in zip(*places, strict=True)]

        def get_missing(self):
            of_conv = [place for place in places if place[0] == "conv"]
            missing = [place for place in of_conv if place not in self.given]
            return [list(side) for side in zip(*missing, strict=True)] if len(missing) == 1 else [[], []]

        def set_weights(self, layer_name, role, weights):
            wanted = len(self.engine.plan["weights"][places[layer_name, role]])
            if weights.size != wanted:
                self.log.log(Severity.ERROR, f"{layer_name} has {wanted} weights, not {weights.size}")
                return False
            self.given[layer_name, role] = weights
            return True

        def refit_cuda_engine(self):
            if self.get_missing()[0]:
                return False
            for place, values in self.given.items():
                if places[place] not in gpu.forgets:
                    self.engine.plan["weights"][places[place]] = values.tolist()
            self.engine.plan |= gpu.refits.pop(0) if gpu.refits else {}
            return True

    return Refitter


class OnnxParserRefitter:
    """TensorRT 10's own way from an ONNX file to a refitter."""

    def __init__(self, refitter, log):
        self._refitter, self._errors = refitter, []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index):
        return self._errors[index]

    def refit_from_file(self, path):
        self._network = Network()
        if not OnnxParser(self._network, None).parse_from_file(path):
            self._errors = [self._network.parser.get_error(0)]
            return False
        held = {(name, role): values for name, _, memory in self._network.layers for role, values in memory.items()}
        attributes = {WeightsRole.KERNEL: "kernel", WeightsRole.BIAS: "bias", WeightsRole.CONSTANT: "weights"}
        return all(
            self._refitter.set_weights(name, role, held[name, attributes[role]].reshape(-1))
            for name, role in zip(*self._refitter.get_all(), strict=True)
        )
