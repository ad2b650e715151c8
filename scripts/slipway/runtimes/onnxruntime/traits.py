"""The traits of ONNX Runtime."""

from slipway.runtimes.traits import NativeBackend, RuntimeTraits

TRAITS = RuntimeTraits(
    name="onnxruntime",
    title="ONNX Runtime",
    package="onnxruntime-gpu",
    serving_package="onnxruntime",  # much smaller, since it has no kernels for GPUs
    hardware="cpu",
    precisions=("fp32",),
    newest_opset=20,
    suffixes=(".ort.onnx", ".ort.onnx.data"),
    engine_file="model.onnx",
    names_other_files=True,
    native_backend=NativeBackend(name="onnxruntime", kserve_format="onnx"),
    refusals={
        "int8": "ONNX Runtime would compute it in fp32: ModelOpt places Q/DQ nodes as TensorRT and OpenVINO fuse them, "
        "before each convolution, and ONNX Runtime fuses a convolution only with one behind it too; take the "
        "runtime openvino for int8, or fp32"
    },
)
