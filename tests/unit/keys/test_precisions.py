import pytest

from slipway.keys import precisions
from slipway.runtimes import RUNTIMES

H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"
T4 = "Tesla T4 (compute capability 7.5)"
A10 = "NVIDIA A10 (compute capability 8.6)"
CPU = "A CPU [avx2] x8"
CPU_WITH_VNNI = "A CPU [avx2 avx512_vnni] x8"
CPU_WITH_BF16 = "A CPU [avx2 avx512_bf16] x8"


@pytest.mark.parametrize(
    ("runtime", "version", "identity", "precision", "words"),
    [
        ("tensorrt", "8.5.3.1", H100, "bf16", "TensorRT 8.5.3.1 has no bf16: that needs 10 or newer"),
        ("tensorrt", "8.6.1.6", H100, "fp8", "TensorRT 8.6.1.6 has no fp8: that needs 10 or newer"),
        ("tensorrt", "10.13.3.9", A10, "fp8", f"{A10} has no fp8: that needs compute capability 8.9"),
        ("tensorrt", "10.13.3.9", T4, "bf16", f"{T4} has no bf16: that needs compute capability 8.0"),
        ("onnxruntime", "1.24.4", CPU, "fp16", "onnxruntime builds only fp32"),
        ("onnxruntime", "1.24.4", CPU_WITH_VNNI, "bf16", "onnxruntime builds only fp32, int8"),
        ("onnxruntime", "1.24.4", CPU, "int8", "multiplies bytes only with saturation"),
        ("openvino", "2026.4.1", CPU, "bf16", "has no bfloat16 instructions"),
        ("openvino", "2026.4.1", CPU, "int8", "multiplies bytes only with saturation"),
    ],
)
def test_what_cannot_be_had_is_refused_with_its_reason(runtime, version, identity, precision, words):
    assert words in precisions.refusal(runtime, version, identity, precision)


@pytest.mark.parametrize(
    ("runtime", "version", "identity", "precision"),
    [
        ("tensorrt", "8.5.3.1", H100, "int8"),
        ("tensorrt", "10.13.3.9", H100, "fp8"),
        ("tensorrt", "11.1.0.106", A10, "bf16"),
        ("tensorrt", "absent", H100, "bf16"),
        ("tensorrt_rtx", "1.7.1", A10, "bf16"),
        ("openvino", "2026.4.1", CPU_WITH_BF16, "bf16"),
        ("openvino", "2026.4.1", CPU_WITH_VNNI, "int8"),
        ("onnxruntime", "1.24.4", CPU_WITH_VNNI, "int8"),
    ],
)
def test_what_can_be_had_is_not_refused(runtime, version, identity, precision):
    assert precisions.refusal(runtime, version, identity, precision) is None


def test_auto_on_a_gpu_takes_int8_only_with_photographs():
    assert precisions.automatic("tensorrt", H100, calibrated=False) == ["fp32", "fp16"]
    assert precisions.automatic("tensorrt", H100, calibrated=True) == ["fp32", "fp16", "int8"]


def test_auto_on_a_cpu_takes_bf16_where_it_is_and_never_int8():
    assert precisions.automatic("openvino", CPU_WITH_BF16, calibrated=True) == ["fp32", "bf16"]
    assert precisions.automatic("openvino", CPU, calibrated=True) == ["fp32"]


def test_int8_leaves_the_rest_in_fp16_where_the_types_alone_decide():
    assert precisions.variant("tensorrt", "10.13.3.9", "int8") == "int8-fp16"
    assert precisions.variant("tensorrt_rtx", "1.7.1", "int8") == "int8-fp16"
    assert precisions.variant("tensorrt", "8.5.3.1", "int8") == "int8"
    assert precisions.variant("openvino", "2026.4.1", "int8") == "int8"
    assert precisions.variant("onnxruntime", "1.24.4", "int8") == "int8-onnxruntime"


def test_a_cpu_builds_bf16_from_the_fp32_file():
    assert precisions.variant("openvino", "2026.4.1", "bf16") == "fp32"
    assert precisions.variant("tensorrt", "10.13.3.9", "bf16") == "bf16"


def test_tensorrt_8_reads_no_opset_beyond_17():
    assert precisions.newest_opset("tensorrt", "8.6.1.6") == 17
    assert precisions.newest_opset("tensorrt", "10.0.1.6") == RUNTIMES["tensorrt"].newest_opset > 17
