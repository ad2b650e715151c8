"""Keys of engines, as the repository's index holds them, and a server that runs them with its own backends."""

from importlib import metadata

from slipway.core import hardware
from slipway.deploy.local.compatibility import Host

H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"
# The release 25.09 has TensorRT 10.13.3.9, and its server is 2.61.0; 25.03 and 25.04 have 10.9.0.34.
TENSORRT = {
    "runtime": "tensorrt",
    "runtime_version": "10.13.3.9",
    "hardware": H100,
    "precision": "fp16",
    "cuda": "cu13",
    "builder": {"compatibility": "none"},
}
OPENVINO = {"runtime": "openvino", "runtime_version": metadata.version("openvino"), "precision": "fp32"}
NATIVE = Host(native_backends=True, environment={})


def openvino_key(**changes) -> dict:
    """Return the key of an engine that OpenVINO built here."""
    return OPENVINO | {"hardware": hardware.cpu_identity()} | changes
