"""The traits of OpenVINO."""

from slipway.runtimes.traits import NativeBackend, RuntimeTraits

TRAITS = RuntimeTraits(
    name="openvino",
    title="OpenVINO",
    package="openvino",
    hardware="cpu",
    precisions=("fp32", "bf16", "int8"),
    newest_opset=20,
    suffixes=(".openvino.xml", ".openvino.bin"),
    engine_file="model.xml",
    native_backend=NativeBackend(
        name="openvino",
        kserve_format="openvino",
        parameters={"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"},
        parameters_of={"bf16": {"HINT_BF16": "YES"}},
    ),
)
