"""TensorRT 8.5 to 11 and TensorRT for RTX: one package for all, because they share one name-based API.

The package needs only Python 3.10, NumPy, the TensorRT library and PyCUDA or cuda-bindings. It imports nothing of
Slipway, since it runs in the interpreter that has TensorRT, and is copied into a Triton model repository. An engine's
suffix shows its edition: .rtx is TensorRT for RTX; .trt (results) and .plan (Triton) are TensorRT.
"""

from .builder import build
from .comparing import trial
from .device import gpu_here
from .refitting import refit
from .runner import Engine

__all__ = ["Engine", "build", "gpu_here", "refit", "trial"]
