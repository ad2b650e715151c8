"""Refit an engine: replace its weights by the weights of another ONNX file of the same structure.

A refit takes seconds, and a build minutes, since a refit keeps every kernel. Outputs and speed must be checked
afterwards (see comparing.py): nothing else would show a weight that was not replaced.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

from . import explain
from .builder import parsed
from .inspector import describe, why_not_refittable
from .library import edition_of, facts_of_work, import_library, load, logger

# {type of a layer with weights: its class}, {role of weights: their attribute}. Python sees only ILayer at first.
_LAYERS = {
    "CONVOLUTION": "IConvolutionLayer",
    "DECONVOLUTION": "IDeconvolutionLayer",
    "FULLY_CONNECTED": "IFullyConnectedLayer",  # until TensorRT 8
    "SCALE": "IScaleLayer",
    "CONSTANT": "IConstantLayer",
}
_ATTRIBUTES = {"KERNEL": "kernel", "BIAS": "bias", "SHIFT": "shift", "SCALE": "scale", "CONSTANT": "weights"}


def refit(onnx: str | Path, engine: str | Path, path: str | Path) -> dict:
    """Write to `path` a copy of the engine file `engine` with the weights of an ONNX file of the same structure.

    Returns the facts for the build record: "refitted_weights" (their number), "timing_cache" (None), and the keys of
    `facts_of_work` and `describe`. Raises ValueError, with the reason, if the engine cannot be refitted, or if the ONNX
    file lacks some of its weights.
    """
    trt = import_library(edition_of(path))
    log = logger(trt)
    try:
        plan, exchanged = _refitted(trt, log, onnx, engine)
    except (TypeError, RuntimeError) as error:  # errors of the library's Python binding
        raise ValueError(f"TensorRT {trt.__version__} cannot refit {engine}: {error}") from None
    Path(path).write_bytes(plan)
    return {
        "timing_cache": None,
        "refitted_weights": exchanged,
        **facts_of_work(trt, log, path),
        **describe(trt, plan, path),
    }


def _refitted(trt: ModuleType, log: Any, onnx: str | Path, engine: str | Path) -> tuple[bytes, int]:
    """Refit the engine file `engine` in memory. Return (the serialized new engine, the number of new weights)."""
    _runtime, loaded = load(trt, log, Path(engine).read_bytes(), engine)
    if reason := why_not_refittable(trt, loaded, log):
        raise ValueError(f"{engine} takes no new weights: {reason}")
    refitter = trt.Refitter(loaded, log)
    # The holder of the new weights must live until the refit.
    holder = (_set_by_parser if hasattr(trt, "OnnxParserRefitter") else _set_by_layer)(trt, log, refitter, onnx)
    if missing := [f"{role.name} of '{layer}'" for layer, role in zip(*refitter.get_missing(), strict=True)]:
        raise ValueError(f"the engine needs weights that the ONNX file does not give it: {', '.join(missing)}")
    if not refitter.refit_cuda_engine():
        raise ValueError(f"TensorRT {trt.__version__} did not take the new weights: {explain.last(log.errors)}")
    del holder
    return _serialized(trt, loaded), len(refitter.get_all()[0])


def _set_by_parser(trt: ModuleType, log: Any, refitter: Any, onnx: str | Path) -> Any:
    """Set all weights with TensorRT's parser for refits (10.0 and newer). Return it, to keep until the refit."""
    parser = trt.OnnxParserRefitter(refitter, log)
    if not parser.refit_from_file(str(onnx)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)] or [explain.last(log.errors)]
        raise ValueError(f"TensorRT {trt.__version__} cannot take the weights of {onnx}: {'; '.join(errors)}")
    return parser


def _set_by_layer(trt: ModuleType, log: Any, refitter: Any, onnx: str | Path) -> Any:
    """Set the weights of each layer from the ONNX file. Return the object that holds them, to keep until the refit.

    The engine's network came from the same parser. So names and types are equal, and computed weights, such as the
    scale of a batch normalisation, are computed in the same way.
    """
    holder = parsed(trt, log, onnx)
    layers = _layers_by_name(holder[0])
    for name, role in zip(*refitter.get_all(), strict=True):
        weights = _weights(trt, layers, name, role.name)
        if weights.size and not refitter.set_weights(name, role, weights):
            raise ValueError(f"TensorRT did not take the {role.name} of the layer '{name}': {explain.last(log.errors)}")
    return holder


def _layers_by_name(network: Any) -> dict[str, Any]:
    """Return {name: layer} of a network. The value is None if several layers have the name."""
    layers: dict[str, Any] = {}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        layers[layer.name] = None if layer.name in layers else layer
    return layers


def _weights(trt: ModuleType, layers: dict[str, Any], name: str, role: str) -> Any:
    """Return the weights that the layer `name` has in a role such as "KERNEL"; empty if it has none.

    `layers` is the result of `_layers_by_name`. The weights are an array or TensorRT's Weights, a view of the parser's
    memory, not a copy. Raises ValueError for an unknown layer or role.
    """
    layer = layers.get(name)
    if layer is None:
        how_many = "several layers" if name in layers else "no layer"
        raise ValueError(
            f"the engine holds weights of the layer '{name}', but the ONNX file has {how_many} of that name"
        )
    kind = layer.type.name
    if kind not in _LAYERS or role not in _ATTRIBUTES:
        raise ValueError(f"the engine holds the {role} of the {kind} layer '{name}', which is not known to be a weight")
    layer.__class__ = getattr(trt, _LAYERS[kind])
    return getattr(layer, _ATTRIBUTES[role])


def _serialized(trt: ModuleType, engine: Any) -> bytes:
    """Return the serialized engine with its present weights. The new engine is still refittable."""
    flags: Any = getattr(trt, "SerializationFlag", None)
    if not hasattr(flags, "INCLUDE_REFIT"):
        return bytes(engine.serialize())
    config = engine.create_serialization_config()  # required since 10.14
    config.set_flag(flags.INCLUDE_REFIT)
    config.clear_flag(flags.EXCLUDE_WEIGHTS)
    return bytes(engine.serialize_with_config(config))
