"""The traits of ONNX Runtime."""

from slipway.runtimes.traits import NativeBackend, RuntimeTraits

TRAITS = RuntimeTraits(
    name="onnxruntime",
    title="ONNX Runtime",
    package="onnxruntime-gpu",
    serving_package="onnxruntime",  # much smaller, since it has no kernels for GPUs
    hardware="cpu",
    precisions=("fp32", "int8"),
    newest_opset=20,
    suffixes=(".ort.onnx", ".ort.onnx.data"),
    engine_file="model.onnx",
    names_other_files=True,
    native_backend=NativeBackend(name="onnxruntime", kserve_format="onnx"),
)
