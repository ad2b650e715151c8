"""The precisions of a runtime on some hardware, their ONNX variants, and the reasons why a precision is refused.

A variant is an ONNX file of the model in a precision. `identity` is the name of a CPU with its instruction sets, or of
a GPU with its compute capability, as `hardware` in config.yaml.
"""

from slipway.core import hardware
from slipway.core.package_versions import ABSENT
from slipway.runtimes import RUNTIMES

# {precision: the GPU's lowest compute capability}, {precision: TensorRT's lowest major version}.
NEEDED_CAPABILITY = {"fp16": 5.3, "int8": 6.1, "bf16": 8.0, "fp8": 8.9}
NEEDED_TENSORRT = {"bf16": 10, "fp8": 10}
# {precision: (instruction sets, of which the CPU needs at least one; the problem without any, in words)}.
_CPU_INSTRUCTIONS = {
    "bf16": (hardware.BF16_INSTRUCTION_SETS, "has no bfloat16 instructions"),
    "int8": (
        hardware.INT8_INSTRUCTION_SETS,
        "multiplies bytes only with saturation (no VNNI, AMX or I8MM), which makes int8 wrong",
    ),
}
# The precisions of `auto` on a GPU; int8 only with calibration data. Other precisions must be configured.
AUTOMATIC_ON_GPU = ("fp32", "fp16", "int8")


def automatic(runtime: str, identity: str, calibrated: bool) -> list[str]:
    """Return the precisions that `precisions: auto` means for a runtime on the CPU or GPU `identity`.

    On a CPU, int8 is always left out; on a GPU, it is left out unless `calibrated`, the model has calibration data.
    """
    offered = RUNTIMES[runtime].precisions
    if hardware.is_gpu(identity):
        return [name for name in AUTOMATIC_ON_GPU if name in offered and (calibrated or name != "int8")]
    return [name for name in offered if name != "int8" and not _refusal_of_cpu(identity, name)]


def variant(runtime: str, version: str, precision: str) -> str:
    """Return the ONNX variant (the file) that an engine is built from, such as "fp16" or "int8-fp16".

    `version` is the version of the runtime, or "absent". A strongly typed builder takes the precision of each layer
    from the file. So in its INT8 variant, the layers that are not quantized are FP16. ONNX Runtime has an INT8 variant
    of its own, since it fuses other placements of Q/DQ nodes than TensorRT and OpenVINO.
    """
    if runtime == "onnxruntime" and precision == "int8":
        return "int8-onnxruntime"
    if not RUNTIMES[runtime].is_tensorrt:
        return "int8" if precision == "int8" else "fp32"
    strongly_typed = runtime == "tensorrt_rtx" or version == ABSENT or major(version) >= 10
    if precision == "int8" and strongly_typed:
        return "int8-fp16"
    return precision


def refusal(runtime: str, version: str, identity: str, precision: str) -> str | None:
    """Return in words why a runtime cannot build a precision on the CPU or GPU `identity`; None if it can.

    `version` is the version of the runtime. If it is "absent", only the hardware and the runtime decide.
    """
    traits = RUNTIMES[runtime]
    if precision not in traits.precisions:
        return f"{runtime} builds only {', '.join(traits.precisions)}"
    capability = hardware.compute_capability_of(identity)
    if capability is None:
        return _refusal_of_cpu(identity, precision)
    needed = NEEDED_CAPABILITY.get(precision, 0)
    if float(capability) < needed:
        return f"{identity} has no {precision}: that needs compute capability {needed}"
    if runtime == "tensorrt" and version != ABSENT and major(version) < NEEDED_TENSORRT.get(precision, 0):
        return f"TensorRT {version} has no {precision}: that needs {NEEDED_TENSORRT[precision]} or newer"
    return None


def newest_opset(runtime: str, version: str) -> int:
    """Return the newest ONNX opset that `version` of a runtime reads.

    If `version` is "absent", return the opset of the newest version.
    """
    if runtime == "tensorrt" and version != ABSENT and major(version) < 10:
        return 17
    return RUNTIMES[runtime].newest_opset


def major(version: str) -> int:
    """Return the first number of a version, such as 10 of "10.13.3"."""
    return int(version.split(".")[0])


def _refusal_of_cpu(identity: str, precision: str) -> str | None:
    needed, problem = _CPU_INSTRUCTIONS.get(precision, (set(), ""))
    available = identity.partition("[")[2].partition("]")[0].split()
    if needed and needed.isdisjoint(available):
        return f"the CPU {identity} {problem}; take fp32, or auto for what there is"
    return None
