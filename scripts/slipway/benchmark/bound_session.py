"""An ONNX Runtime session on the GPU, without copies between host and GPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.contract.contract import BATCH, Contract
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch

PROVIDER = "CUDAExecutionProvider"


class BoundSession:
    """An ONNX Runtime session that reads and writes PyTorch's GPU tensors on one of PyTorch's CUDA streams."""

    def __init__(self, onnx: Path, contract: Contract, sizes: Mapping[str, int], stream: torch.cuda.Stream) -> None:
        """Load the ONNX file for inputs with `sizes`, {axis: size}. Raise SlipwayError if the GPU cannot run it.

        `stream` is the CUDA stream on which the session runs.
        """
        import onnxruntime as ort

        if PROVIDER not in ort.get_available_providers():
            raise SlipwayError(
                f"onnxruntime {ort.__version__} has no CUDA provider; install onnxruntime-gpu in its place"
            )
        settings = {"device_id": 0, "user_compute_stream": str(stream.cuda_stream)}
        try:
            self._session = ort.InferenceSession(str(onnx), providers=[(PROVIDER, settings)])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise SlipwayError(f"onnxruntime {ort.__version__} cannot load {onnx}: {error}") from None
        if self._session.get_providers()[0] != PROVIDER:
            raise SlipwayError(
                f"onnxruntime {ort.__version__} cannot start its CUDA provider; install the library that the log names"
            )
        if unknown := [tensor.name for tensor in contract.outputs if None in tensor.shape]:
            raise SlipwayError(
                f"the size of the output {unknown[0]} depends on the values, so no memory can be bound for it"
            )
        self._outputs = tuple(
            torch.empty(tensor.sizes(sizes.get(BATCH, 1), sizes), dtype=getattr(torch, tensor.dtype), device="cuda")
            for tensor in contract.outputs
        )
        self._contract = contract
        self._options = ort.RunOptions()
        # Without this, each run ends with a wait for the stream, so batches cannot be enqueued ahead.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._binding: Any = None

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Enqueue one run and return the outputs. The inputs must be the same GPU tensors in every call."""
        if self._binding is None:
            self._bind(inputs)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # no common base class, as above
            raise SlipwayError(f"onnxruntime's CUDA provider cannot run the model: {error}") from None
        return self._outputs

    def _bind(self, inputs: Sequence[torch.Tensor]) -> None:
        self._binding = self._session.io_binding()
        for bind, tensors, arrays in (
            (self._binding.bind_input, self._contract.inputs, inputs),
            (self._binding.bind_output, self._contract.outputs, self._outputs),
        ):
            for tensor, values in zip(tensors, arrays, strict=True):
                bind(tensor.name, "cuda", 0, np.dtype(tensor.dtype).type, tuple(values.shape), values.data_ptr())
