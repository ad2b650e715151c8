"""The baseline of ONNX Runtime's CUDA provider, if this machine has it."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slipway.benchmark.cuda_timing import measure_forward, stream_of
from slipway.benchmark.timing import Effort
from slipway.core.errors import SlipwayError

if TYPE_CHECKING:
    import torch

PROVIDER = "CUDAExecutionProvider"


class BoundSession:
    """A session that reads and writes PyTorch's GPU tensors and enqueues on one of PyTorch's streams."""

    def __init__(self, onnx: str | Path, stream: "torch.cuda.Stream") -> None:
        """Load the ONNX file. Raise SlipwayError with the reason if it cannot run on the GPU."""
        import onnxruntime as ort

        if PROVIDER not in ort.get_available_providers():
            raise SlipwayError(f"onnxruntime {ort.__version__} has no CUDA provider; onnxruntime-gpu has one")
        settings = {"device_id": 0, "user_compute_stream": str(stream.cuda_stream)}
        try:
            self._session = ort.InferenceSession(str(onnx), providers=[(PROVIDER, settings)])
        except Exception as error:  # its exception classes have no common base
            raise SlipwayError(f"onnxruntime {ort.__version__} cannot load {onnx}: {error}") from None
        if self._session.get_providers()[0] != PROVIDER:
            raise SlipwayError(
                f"onnxruntime {ort.__version__} cannot start its CUDA provider; the log names the library it misses"
            )
        self._options = ort.RunOptions()
        # Without this, each run waits for the stream at its end, and batches cannot be enqueued ahead.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._binding: Any = None

    def __call__(self, images: "torch.Tensor") -> "torch.Tensor":
        """Enqueue one run and return the logits. `images` (N, 3, H, W) must be the same GPU tensor in every call."""
        if self._binding is None:
            self._bind(images)
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # no common base, as above
            raise SlipwayError(f"onnxruntime's CUDA provider cannot run the model: {error}") from None
        return self._logits

    def _bind(self, images: "torch.Tensor") -> None:
        import torch

        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        classes = target.shape[-1]
        if not isinstance(classes, int):
            raise SlipwayError(f"the ONNX file does not state the number of classes: its output is {target.shape}")
        self._logits = torch.empty((len(images), classes), dtype=torch.float32, device="cuda")
        dtype = np.uint8 if images.dtype == torch.uint8 else np.float32
        self._binding = self._session.io_binding()
        self._binding.bind_input(source.name, "cuda", 0, dtype, tuple(images.shape), images.data_ptr())
        self._binding.bind_output(
            target.name, "cuda", 0, np.float32, tuple(self._logits.shape), self._logits.data_ptr()
        )


def measure_onnxruntime(onnx: str | Path | None, images: np.ndarray, effort: Effort) -> dict:
    """Measure the ONNX file in ONNX Runtime's CUDA provider. Raise SlipwayError with the reason if it cannot run.

    It uses one stream, since a session is bound to its stream. PyTorch does not see the session's memory, so
    `device_memory_bytes` is null.
    """
    import torch

    if onnx is None:
        raise SlipwayError("no ONNX file was given to measure onnxruntime with (--onnx)")
    try:
        session = BoundSession(onnx, stream_of(0))
        measurement = measure_forward(session, images, effort)
    finally:
        session = None
        gc.collect()
        torch.cuda.empty_cache()
    return {**measurement, "device_memory_bytes": None}
