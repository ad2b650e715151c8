"""OpenVINO on the CPU: an ONNX file becomes an IR (OpenVINO's own representation), which is compiled at each load."""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# OpenVINO's import and conversion fork a process that sends usage statistics. Together with gRPC's threads this fork
# lost requests and crashed. Without this package nothing is sent.
_modules: Any = sys.modules
_modules.setdefault("openvino_telemetry", None)

import openvino as ov  # noqa: E402

# An int8 file states the precision of each quantized layer. The other layers run in FP32.
_HINTS = {"fp32": ov.Type.f32, "bf16": ov.Type.bf16, "int8": ov.Type.f32}
_WIDE, _INT32 = ("int64", "uint64", "uint32"), np.iinfo(np.int32)
_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "i8": "int8", "u8": "int8"}
# The types of compute layers. Their precision is the engine's precision.
_COMPUTE = {"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul", "RNNSeq", "LSTMSequence"}


def build(onnx: str | Path, path: str | Path, precision: str, options: dict) -> dict:
    """Build an engine: convert an ONNX file to IR at `path` (.xml, and .bin beside it).

    The weights stay unchanged: for bf16, the CPU plugin rounds FP32 only when it compiles. So fp32 and bf16 have the
    same IR. An int8 file has quantize and dequantize nodes, which the CPU plugin fuses into its INT8 kernels. `options`
    are not used. Returns {"tensors", "layers"} of the engine (see `slipway.runtimes`). Raises ValueError for another
    precision than fp32, bf16 and int8, or for an unreadable file. Raises OSError if the IR cannot be written.
    """
    if precision not in _HINTS:
        raise ValueError(f"OpenVINO here builds {', '.join(_HINTS)}, not {precision}")
    try:
        model = ov.convert_model(onnx)
    except Exception as error:
        raise ValueError(f"OpenVINO cannot read {onnx}: {error}") from None
    for port in model.inputs:
        # An input also has the names of nodes behind it that change nothing, such as a Cast to the same type.
        port.get_tensor().set_names({port.get_node().get_friendly_name()})
    _write(model, Path(path))
    engine = Engine(path, precision)
    return {"tensors": engine.tensors(), "layers": engine.layers()}


def _write(model: ov.Model, path: Path) -> None:
    """Write an IR to `path`. Raise OSError, with the system's reason, if the disk has too little space.

    OpenVINO does not give the reason itself. So after its error, as much space as the weights need is asked of the
    system.
    """
    try:
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError:
        constants = [node.output(0) for node in model.get_ops() if node.get_type_name() == "Constant"]
        size = sum(constant.get_element_type().size * np.prod(constant.get_shape()) for constant in constants)
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            os.posix_fallocate(probe.fileno(), 0, int(size) + 1)
        raise


class Engine:
    """An IR compiled for this CPU, with one stream tuned for latency."""

    def __init__(self, path: str | Path, precision: str, threads: int = 0) -> None:
        """Compile the IR at `path` to run in `precision` on `threads` cores (0: all that the process may use).

        Raises ValueError if OpenVINO cannot load the file.
        """
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # With pinning, every process would pin its threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        try:
            core = ov.Core()
            model = core.read_model(str(path))
            self._model = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ValueError(f"OpenVINO cannot load {path}, truncated or not an IR: {error}") from None
        self._request = self._model.create_infer_request()
        # In the compiled model, an output may also have the name of an inner tensor, since layers change places.
        ports = {"inputs": model.inputs, "outputs": model.outputs}
        self._tensors = {side: [_described(port) for port in ports[side]] for side in ports}
        self._dtypes = {tensor["name"]: tensor["dtype"] for tensor in self._tensors["inputs"]}

    def tensors(self) -> dict[str, list[dict]]:
        """Return {"inputs": [...], "outputs": [...]}, lists of {"name", "dtype" (NumPy's), "shape" (-1: dynamic)}."""
        return self._tensors

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return {output: array} for {input: array}. Raise ValueError for wrong names, dtypes or sizes."""
        given = {name: array.dtype.name for name, array in inputs.items()}
        if given != self._dtypes:  # OpenVINO would cast silently, and take the last request's array for a missing one
            raise ValueError(f"the engine takes {_in_words(self._dtypes)}, not {_in_words(given)}")
        _require_integers_of_32_bits(inputs)
        arrays = {name: np.asarray(array, order="C") for name, array in inputs.items()}
        try:
            outputs = self._request.infer(arrays, share_inputs=True)
        except RuntimeError as error:
            sizes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
            raise ValueError(f"OpenVINO cannot run the engine on {sizes}: {error}") from None
        return {tensor["name"]: outputs[index] for index, tensor in enumerate(self._tensors["outputs"])}

    def infer_all(self, requests: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Run requests, each {input: array}, as one batch. Return {output: array}, joined along axis 0 in their order.

        Raises ValueError in the same cases as `infer`.
        """
        if len(requests) == 1:
            return self.infer(requests[0])
        return self.infer({name: np.concatenate([request[name] for request in requests]) for name in requests[0]})

    def layers(self) -> dict[str, int]:
        """Return {precision: number of compute layers}, by the precisions that the compiled model reports."""
        counts: Counter[str] = Counter()
        for node in self._model.get_runtime_model().get_ordered_ops():
            info = node.get_rt_info()
            if info["layerType"].astype(str) in _COMPUTE:
                reported = info["runtimePrecision"].astype(str)
                counts[_NAMES.get(reported, reported)] += 1
        return dict(counts)


def _require_integers_of_32_bits(inputs: dict[str, np.ndarray]) -> None:
    """Raise ValueError if an integer needs more than 32 bits, since OpenVINO computes integers in 32 bits on CPUs.

    OpenVINO would drop the other bits, and so compute with another number.
    """
    for name, array in inputs.items():
        if array.dtype in _WIDE and array.size and not (array.min() >= _INT32.min and array.max() <= _INT32.max):
            raise ValueError(
                f"{name} has values from {array.min()} to {array.max()}, but OpenVINO computes with {array.dtype} in "
                "int32 on CPUs; send smaller numbers, or let the target have `runtime: onnxruntime`"
            )


def _described(port: ov.Output) -> dict:
    shape = [size.get_length() if size.is_static else -1 for size in port.partial_shape]
    return {"name": port.any_name, "dtype": port.element_type.to_dtype().name, "shape": shape}


def _in_words(dtypes: dict[str, str]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items()) or "nothing"
