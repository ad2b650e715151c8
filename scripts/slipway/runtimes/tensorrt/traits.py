"""The traits of TensorRT."""

from slipway.runtimes.traits import NativeBackend, RuntimeTraits

TRAITS = RuntimeTraits(
    name="tensorrt",
    title="TensorRT",
    package="tensorrt",
    hardware="gpu",
    precisions=("fp32", "fp16", "bf16", "int8", "fp8"),
    newest_opset=20,
    suffixes=(".trt",),
    engine_file="model.plan",
    native_backend=NativeBackend(name="tensorrt", kserve_format="tensorrt"),
)
