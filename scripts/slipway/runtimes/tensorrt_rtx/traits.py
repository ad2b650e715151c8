"""The traits of TensorRT for RTX. Its code is TensorRT's, because both have the same API."""

from slipway.runtimes.traits import RuntimeTraits

TRAITS = RuntimeTraits(
    name="tensorrt_rtx",
    title="TensorRT for RTX",
    package="tensorrt-rtx",
    hardware="gpu",
    precisions=("fp32", "fp16", "bf16", "int8", "fp8"),
    newest_opset=20,
    suffixes=(".rtx",),
    engine_file="model.rtx",
    native_backend=None,
    builds_without_hardware=True,
    module="tensorrt",
)
