"""ONNX Runtime on the CPU: the engine is the ONNX graph after all optimisations for this CPU, saved as ONNX."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort

_COMPUTE = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"}
# {ONNX Runtime's name of an element type: NumPy's name}, where the two names differ.
_NUMPY = {"float": "float32", "double": "float64"}
_INT8 = {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"}
# From this size of an ONNX file (bytes), a second file has its weights: the optimised graph may be larger, and may
# exceed the 2 GB of one ONNX file.
_LARGE = 3 << 29


def build(onnx: str | Path, path: str | Path, precision: str, options: dict) -> dict:
    """Build an engine: optimise an ONNX file for this CPU, including its layouts, and save the result at `path`.

    `<path>.data` gets large weights, such as the weights in an ONNX file's data file. Without large weights, this file
    is empty. An int8 file has quantize and dequantize nodes before and after a convolution; all are fused into one
    node. `options` are not used. Returns {"tensors", "layers"} of the engine (see `slipway.runtimes`). Raises
    ValueError for another precision than fp32 and int8, or for an unreadable file.
    """
    if precision not in ("fp32", "int8"):
        raise ValueError(f"ONNX Runtime's CPU kernels have no {precision}; it builds fp32 and int8")
    inside, outside = (file.stat().st_size if file.is_file() else 0 for file in (Path(onnx), Path(f"{onnx}.data")))
    data = Path(f"{path}.data")
    data.touch()
    name = data.name if outside or inside > _LARGE else ""
    _session(onnx, ort.GraphOptimizationLevel.ORT_ENABLE_ALL, optimized=str(path), data=name)
    engine = Engine(path, precision)
    return {"tensors": engine.tensors(), "layers": engine.layers()}


class Engine:
    """An optimised graph in an ONNX Runtime session on the CPU."""

    def __init__(self, path: str | Path, precision: str, threads: int = 0) -> None:
        """Load the graph at `path` to run on `threads` cores (0: all that the process may use).

        Raises ValueError if ONNX Runtime cannot load the file. `precision` is not used, since the graph fixes the
        precision.
        """
        self._path = path
        self._session = _session(path, ort.GraphOptimizationLevel.ORT_DISABLE_ALL, threads)
        tensors = self.tensors()
        self._dtypes = {tensor["name"]: tensor["dtype"] for tensor in tensors["inputs"]}
        self._outputs = [tensor["name"] for tensor in tensors["outputs"]]

    def tensors(self) -> dict[str, list[dict]]:
        """Return {"inputs": [...], "outputs": [...]}, lists of {"name", "dtype" (NumPy's), "shape" (-1: dynamic)}."""
        sides = {"inputs": self._session.get_inputs(), "outputs": self._session.get_outputs()}
        return {side: [_described(tensor) for tensor in sides[side]] for side in sides}

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return {output: array} for {input: array}. Raise ValueError for wrong names, dtypes or sizes."""
        given = {name: array.dtype.name for name, array in inputs.items()}
        if given != self._dtypes:
            raise ValueError(f"the engine takes {_in_words(self._dtypes)}, not {_in_words(given)}")
        arrays = {name: np.asarray(array, order="C") for name, array in inputs.items()}
        try:
            return dict(zip(self._outputs, self._session.run(None, arrays), strict=True))
        except Exception as error:  # its exceptions have no common base
            raise ValueError(f"ONNX Runtime cannot run the engine: {error}") from None

    def infer_all(self, requests: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Run requests, each {input: array}, as one batch. Return {output: array}, joined along axis 0 in their order.

        Raises ValueError in the same cases as `infer`.
        """
        if len(requests) == 1:
            return self.infer(requests[0])
        return self.infer({name: np.concatenate([request[name] for request in requests]) for name in requests[0]})

    def layers(self) -> dict[str, int]:
        """Return {precision: number of compute nodes in the optimised graph}, by the element type of their weights.

        A node whose weights are dequantized first counts as FP32, because it was not fused into an INT8 node. Nodes
        without weights count as "unknown", but only if no node has weights.
        """
        import onnx

        graph = onnx.load(self._path, load_external_data=False).graph
        types = {weight.name: onnx.TensorProto.DataType.Name(weight.data_type) for weight in graph.initializer}
        types |= {name: "FLOAT" for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
        names = {"FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "INT8": "int8", "UINT8": "int8"}
        counts: Counter[str] = Counter()
        for node in graph.node:
            if node.op_type in _INT8:
                counts["int8"] += 1
            elif node.op_type in _COMPUTE:
                precisions = [names.get(types[name], types[name]) for name in node.input if name in types]
                counts[precisions[0] if precisions else "unknown"] += 1
        if len(counts) > 1:  # a product of two activations, as in attention, states no type; others show the network's
            del counts["unknown"]
        return dict(counts)


def _session(
    path: str | Path, level: ort.GraphOptimizationLevel, threads: int = 0, optimized: str = "", data: str = ""
) -> ort.InferenceSession:
    """Return a session with the graph at `path`. If `optimized` is a path, save the optimised graph there.

    `data` is the name of a file beside `optimized` for large weights. If it is "", the graph's file has all weights.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = optimized
    if data:
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data)
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Waiting threads must not spin: they would take the cores from the server that calls the engine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise ValueError(f"ONNX Runtime cannot load {path}, truncated or not ONNX that it takes: {error}") from None


def _described(tensor: ort.NodeArg) -> dict:
    element = tensor.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "dtype": _NUMPY.get(element, element), "shape": shape}


def _in_words(dtypes: dict[str, str]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items()) or "nothing"
