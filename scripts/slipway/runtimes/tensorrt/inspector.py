"""Inspect an engine: its tensors, its memory, and the precision of each compute layer."""

import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from .device import describe_gpu
from .explain import last
from .library import load, logger

# A layer is a compute layer if its type in lower case contains one of these words. They cover all releases.
_COMPUTE = ("conv", "gemm", "matrix", "matmul", "fullyconnected", "fc", "attention")
# {TensorRT data type: NumPy's name}, if the names differ in more than case. TensorRT 8.5's `nptype` needs an old NumPy.
_NUMPY = {"FLOAT": "float32", "HALF": "float16"}
# {precision: spellings of the data type in a layer's tensors or weights, in all releases}
_SPELLINGS = {
    "fp8": ("fp8", "float8", "e4m3"),
    "bf16": ("bf16", "bfloat16"),
    "int8": ("int8",),
    "fp16": ("fp16", "half", "float16"),
    "fp32": ("fp32", "float", "float32", "tf32"),
}
_FIELDS = ("Name", "LayerType", "ParameterType")
# One field of a layer, or of its weights or tensors, in a text that may be broken elsewhere.
_FIELD = r'"{}"\s*:\s*"((?:[^"\\]|\\.)*)'
UNREAD = "unread"
ENDS = ("min", "opt", "max")
# The network name that marks an engine without a batch axis. An engine keeps this name, but no names of axes.
UNBATCHED = "one request at a time"
# The batch sizes of the single profile of an UNBATCHED engine.
ONE_REQUEST = [{"min": 1, "opt": 1, "max": 1}]


def describe(trt: ModuleType, plan: bytes, path: str | Path) -> dict:
    """Load a serialized engine on this GPU, and return facts about it for the build record.

    The keys are "profiles" (see `profiles_of`), "memory" ({"weights_and_plan_bytes", "activations_bytes"}), "layers"
    ({precision: number of compute layers}), "layers_read_from" ("the engine"), "unread_layers" (texts about layers that
    could not be read), "gpu" (see `describe_gpu`) and "not_refittable_reason" (text or None). Raises ValueError if
    TensorRT cannot load the engine.
    """
    log = logger(trt)
    _runtime, engine = load(trt, log, plan, path)
    layers = engine_layers(trt, engine)
    return {
        "profiles": profiles_of(engine),
        "memory": {"weights_and_plan_bytes": len(plan), "activations_bytes": activation_bytes(engine)},
        "layers": count_by_precision(layers),
        "unread_layers": [layer[UNREAD] for layer in layers if UNREAD in layer],
        "not_refittable_reason": why_not_refittable(trt, engine, log),
        "layers_read_from": "the engine",
        "gpu": describe_gpu(),
    }


def why_not_refittable(trt: ModuleType, engine: Any, log: Any) -> str | None:
    """Return the reason why an engine cannot be refitted; None if it can.

    TensorRT's own answer is not enough: 8.5 reports an engine with several optimization profiles as refittable, but
    cannot make its refitter (https://github.com/NVIDIA/TensorRT/issues/3268, repaired in 8.6). So this function also
    tries to make a refitter.
    """
    if not engine.refittable:
        return "it was built without `tensorrt.refit`"
    try:
        trt.Refitter(engine, log)
    except (TypeError, RuntimeError):
        profiles = engine.num_optimization_profiles
        hint = f"; it has {profiles} optimization profiles, and 8.5 refits engines of one" if profiles > 1 else ""
        return f"TensorRT {trt.__version__} has no refitter for it ({last(log.errors)}{hint})"
    return None


def tensors_of(engine: Any) -> dict[str, list[dict]]:
    """Return {"inputs": [...], "outputs": [...]}, lists of {"name", "dtype": NumPy's name, "shape": -1 is dynamic}."""
    tensors: dict[str, list[dict]] = {"inputs": [], "outputs": []}
    for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
        side = "inputs" if engine.get_tensor_mode(name).name == "INPUT" else "outputs"
        tensors[side].append(_described(name, engine.get_tensor_dtype(name), engine.get_tensor_shape(name)))
    return tensors


def tensors_of_network(network: Any) -> dict[str, list[dict]]:
    """Return {"inputs": [...], "outputs": [...]} of a network that is not built yet, in the form of `tensors_of`."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    sides = {"inputs": inputs, "outputs": outputs}
    return {side: [_described(tensor.name, tensor.dtype, tensor.shape) for tensor in sides[side]] for side in sides}


def _described(name: str, dtype: Any, shape: Any) -> dict:
    return {"name": name, "dtype": _NUMPY.get(dtype.name, dtype.name.lower()), "shape": list(shape)}


def is_batched(engine: Any) -> bool:
    """Return whether the first axis of all inputs is the batch axis: it is dynamic, and the engine is not UNBATCHED."""
    inputs = tensors_of(engine)["inputs"]
    return all(tensor["shape"][:1] == [-1] for tensor in inputs) and getattr(engine, "name", "") != UNBATCHED


def profile_shapes(engine: Any, profile: int) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return {input: {"min": shape, "opt": shape, "max": shape}} of one optimization profile."""
    return {
        tensor["name"]: dict(
            zip(ENDS, map(tuple, engine.get_tensor_profile_shape(tensor["name"], profile)), strict=True)
            if -1 in tensor["shape"]
            else dict.fromkeys(ENDS, tuple(tensor["shape"]))
        )
        for tensor in tensors_of(engine)["inputs"]
    }


def profiles_of(engine: Any) -> list[dict]:
    """Return [{"min", "opt", "max"}], the batch sizes of each optimization profile; all are 1 without a batch axis."""
    if not is_batched(engine):
        return ONE_REQUEST
    shapes = [profile_shapes(engine, index) for index in range(engine.num_optimization_profiles)]
    return [{end: int(shape[0]) for end, shape in next(iter(by_input.values())).items()} for by_input in shapes]


def activation_bytes(engine: Any) -> int:
    """Return the device memory (bytes) of one execution context."""
    return int(getattr(engine, "device_memory_size_v2", 0) or engine.device_memory_size)


def count_by_precision(layers: list[dict]) -> dict[str, int]:
    """Return {precision: number of compute layers}. Without compute layers, return {"fused": number of fused parts}.

    `layers` are from `engine_layers`. For compute layers and fused parts, see `is_compute` and `is_fused`.
    """
    return dict(Counter(precision_of(layer) for layer in layers if is_compute(layer))) or dict(
        Counter("fused" for layer in layers if is_fused(layer))
    )


def engine_layers(trt: ModuleType, engine: Any) -> list[dict]:
    """Return a dict for each layer of an engine in its first optimization profile, as `read_layer` returns.

    The layers are read one by one and without an execution context. With a context, TensorRT 8.5 fails for an engine
    with several profiles.
    """
    inspector = engine.create_engine_inspector()
    texts = [layer_text(trt, inspector, index) for index in range(engine.num_layers)]
    layers = [read_layer(text) for text in texts if text.strip()]
    other_profile = re.compile(r"\[profile [1-9]\d*\]$", re.IGNORECASE)
    return [layer for layer in layers if not other_profile.search(layer.get("Name", ""))]


def is_compute(layer: dict) -> bool:
    """Return whether a layer, a dict of `engine_layers`, is a convolution or a matrix product."""
    kinds = f"{layer.get('LayerType', '')} {layer.get('ParameterType', '')}".lower()
    return "reformat" not in kinds and any(name in kinds for name in _COMPUTE)


def is_fused(layer: dict) -> bool:
    """Return whether a layer is a fused part of the network, such as a Transformer, whose layers TensorRT 8 hides."""
    return "myelin" in layer.get("LayerType", "").lower() or "ForeignNode" in layer.get("Name", "")


def precision_of(layer: dict) -> str:
    """Return the precision of a compute layer, such as "fp16": the type of its weights, or else of its inputs.

    `layer` is a dict of `engine_layers`. If its types are not known, return "unknown".
    """
    weights = layer.get("Weights")
    stated = [weights.get("Type", "")] if isinstance(weights, dict) else []
    stated += [tensor.get("Format/Datatype", "") for tensor in layer.get("Inputs", []) if isinstance(tensor, dict)]
    return next(filter(None, map(_stated_precision, stated)), "unknown")


def _stated_precision(text: str) -> str | None:
    words = set(text.lower().replace(",", " ").split())
    return next((precision for precision, spellings in _SPELLINGS.items() if words & set(spellings)), None)


def facts_of_network(trt: ModuleType, network: Any) -> dict:
    """Return the precisions of a strongly typed network's layers, for an engine that cannot be loaded on this machine.

    The keys are "layers", {precision: number of compute layers}, and "layers_read_from", which says in words that the
    network states these precisions. A layer whose input comes from a DequantizeLayer counts as INT8 or FP8, since the
    builder fuses the two layers.
    """
    compute = {trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION, trt.LayerType.MATRIX_MULTIPLY}
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    makers = {layer.get_output(0).name: layer for layer in layers if layer.num_outputs}
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.type in compute:
            source = layer.get_input(0)
            maker = makers.get(source.name)
            if maker is not None and maker.type == trt.LayerType.DEQUANTIZE:
                source = maker.get_input(0)
            dtype = source.dtype.name
            counts[_stated_precision(dtype) or dtype.lower()] += 1
    return {"layers": dict(counts), "layers_read_from": "the strongly typed network"}


def layer_text(trt: ModuleType, inspector: Any, index: int) -> str:
    """Return the inspector's text about a layer: JSON if it can be decoded, or else one line of text, or else ""."""
    for form in (trt.LayerInformationFormat.JSON, trt.LayerInformationFormat.ONELINE):
        try:
            return inspector.get_layer_information(index, form)
        except (RuntimeError, ValueError):  # a UnicodeDecodeError is a ValueError
            continue
    return ""


def read_layer(text: str) -> dict:
    """Return {field: value} of a layer from the inspector's text: "Name", "LayerType", "Inputs", "Weights" and others.

    TensorRT 8.6 writes control characters into JSON. If the text is no JSON, only the important fields are searched,
    and the whole text becomes the field "unread".
    """
    try:
        layer = json.loads(text, strict=False)
    except ValueError:
        return _search_fields(text)
    return layer if isinstance(layer, dict) else {"Name": str(layer)}


def _search_fields(text: str) -> dict:
    names = (*_FIELDS, "Type", "Format/Datatype")
    values = {name: re.findall(_FIELD.format(re.escape(name)), text, re.DOTALL) for name in names}
    return {
        "Name": "",
        **{name: values[name][0] for name in _FIELDS if values[name]},
        "Weights": {"Type": next(iter(values["Type"]), "")},
        "Inputs": [{"Format/Datatype": form} for form in values["Format/Datatype"]],
        UNREAD: text,
    }
