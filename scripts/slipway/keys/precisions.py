"""The precisions of a runtime on some hardware, their ONNX variants, and the reasons why a precision is refused."""

from slipway.core import hardware
from slipway.core.packages import ABSENT
from slipway.runtimes import RUNTIMES

# {precision: the GPU's lowest compute capability}, {precision: TensorRT's lowest major version}.
NEEDED_CAPABILITY = {"fp16": 5.3, "int8": 6.1, "bf16": 8.0, "fp8": 8.9}
NEEDED_TENSORRT = {"bf16": 10, "fp8": 10}
# The precisions of `auto` on a GPU; int8 only with calibration photographs. Other precisions must be configured.
AUTOMATIC_ON_GPU = ("fp32", "fp16", "int8")


def automatic(runtime: str, identity: str, calibrated: bool) -> list[str]:
    """Return the precisions of `auto` on some hardware."""
    offered = RUNTIMES[runtime].precisions
    if hardware.is_gpu(identity):
        return [name for name in AUTOMATIC_ON_GPU if name in offered and (calibrated or name != "int8")]
    offered = [name for name in offered if name != "int8"]
    return [name for name in offered if name != "bf16" or has_bf16(identity)]


def variant(runtime: str, version: str, precision: str) -> str:
    """Return the ONNX variant from which an engine is built.

    A strongly typed builder takes the precision of all layers from the file. So its INT8 file has FP16 in the layers
    that are not quantized.
    """
    if not RUNTIMES[runtime].is_tensorrt:
        return "int8" if precision == "int8" else "fp32"
    if precision == "int8" and is_strongly_typed(runtime, version):
        return "int8-fp16"
    return precision


def refusal(runtime: str, version: str, identity: str, precision: str) -> str | None:
    """Return the reason why a precision is not available, in words; None if it is available."""
    traits = RUNTIMES[runtime]
    if precision not in traits.precisions:
        return traits.refusals.get(precision) or f"{runtime} builds only {', '.join(traits.precisions)}"
    if not hardware.is_gpu(identity):
        return _refusal_of_cpu(identity, precision)
    capability = hardware.compute_capability_of(identity)
    needed = NEEDED_CAPABILITY.get(precision, 0)
    if float(capability) < needed:
        return f"{identity} has no {precision}: that needs compute capability {needed}"
    if runtime == "tensorrt" and version != ABSENT and major(version) < NEEDED_TENSORRT.get(precision, 0):
        return f"TensorRT {version} has no {precision}: that needs {NEEDED_TENSORRT[precision]} or newer"
    return None


def newest_opset(runtime: str, version: str) -> int:
    """Return the newest ONNX opset that a runtime reads."""
    if runtime == "tensorrt" and version != ABSENT and major(version) < 10:
        return 17
    return RUNTIMES[runtime].newest_opset


def is_strongly_typed(runtime: str, version: str) -> bool:
    """Return whether the builder takes precisions from the graph's types alone."""
    return runtime == "tensorrt_rtx" or version == ABSENT or major(version) >= 10


def major(version: str) -> int:
    """Return the first number of a version."""
    return int(version.split(".")[0])


def has_bf16(identity: str) -> bool:
    """Return whether a CPU's identity lists bfloat16 instructions."""
    return bool(hardware.BF16_INSTRUCTION_SETS & _instruction_sets(identity))


def has_int8(identity: str) -> bool:
    """Return whether a CPU's identity lists instructions that multiply bytes without saturation."""
    return bool(hardware.INT8_INSTRUCTION_SETS & _instruction_sets(identity))


def _refusal_of_cpu(identity: str, precision: str) -> str | None:
    if precision == "bf16" and not has_bf16(identity):
        return f"the CPU {identity} has no bfloat16 instructions; take fp32, or auto for what there is"
    if precision == "int8" and not has_int8(identity):
        return (
            f"the CPU {identity} multiplies bytes only with saturation (no VNNI, AMX or I8MM), which makes int8 wrong; "
            "take fp32, or auto for what there is"
        )
    return None


def _instruction_sets(identity: str) -> set[str]:
    _, _, listed = identity.partition("[")
    return set(listed.partition("]")[0].split())
