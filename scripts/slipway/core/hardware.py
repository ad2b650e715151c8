"""The hardware of this machine: CPU (name, instruction sets, cores) and GPU (name, compute capability).

The identity of a CPU or GPU is a line with these facts. Keys of jobs have it, so an engine for other hardware is stale.
"""

import contextlib
import os
import platform
import re
from functools import cache
from pathlib import Path

from slipway.core import nvml
from slipway.core.errors import SlipwayError

# A CPU runtime chooses its kernels by these instruction sets. The names are from Linux's /proc/cpuinfo.
INSTRUCTION_SETS = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm"]
BF16_INSTRUCTION_SETS = {"avx512_bf16", "amx_bf16", "bf16"}
# Without these, AVX2's 8-bit multiply-add saturates at 16 bits: a Q/DQ file that is exact elsewhere lost
# EfficientNet-Lite0 23 points of top-1 accuracy, in OpenVINO and ONNX Runtime alike.
INT8_INSTRUCTION_SETS = {"avx_vnni", "avx512_vnni", "amx_int8", "i8mm"}


@cache
def cpu() -> dict:
    """Return {"name", "architecture", "instruction_sets", "cores"} of the CPU.

    "cores" is the number of cores that this process may use.
    """
    fields: dict[str, str] = {}
    for line in _cpuinfo().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    return {
        "name": fields.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "cores": usable_cores(),
    }


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_identity() -> str:
    """Return the CPU's name, instruction sets and number of cores in one line, for the keys of jobs."""
    facts = cpu()
    return f"{facts['name']} [{' '.join(facts['instruction_sets'])}] x{facts['cores']}"


def describe_gpu(name: str, compute_capability: str) -> str:
    """Return a GPU's identity, such as "NVIDIA L4 (compute capability 8.9)", for the keys of jobs."""
    return f"{name} (compute capability {compute_capability})"


@cache
def gpu_identity() -> str | None:
    """Return the identity of the first visible GPU, as `describe_gpu` returns it.

    Return None without a GPU, or if NVML does not report its name and compute capability.
    """
    try:
        library, device = nvml.open_device()
    except SlipwayError:
        return None
    name, capability = nvml.query(library, "nvmlDeviceGetName", device), nvml.compute_capability(library, device)
    return describe_gpu(name, capability) if name and capability else None


def is_gpu(identity: str) -> bool:
    """Return whether an identity, such as `gpu_identity` returns, belongs to a GPU. Otherwise it belongs to a CPU."""
    return compute_capability_of(identity) is not None


def compute_capability_of(identity: str) -> str | None:
    """Return the compute capability in a GPU's identity, such as "9.0"; None if the identity belongs to a CPU."""
    match = re.search(r"compute capability (\d+\.\d+)", identity)
    return match[1] if match else None


def require_hardware(identity: str, opened_gpu: str | None = None) -> None:
    """Raise SlipwayError unless this machine has the hardware `identity`, for which the job was planned.

    `opened_gpu` is the identity of a GPU that the job has already opened. If it is None, NVML tells the GPU.
    """
    kind, planned = ("GPU", "one") if is_gpu(identity) else ("CPU", "machine")
    here = (opened_gpu or gpu_identity()) if kind == "GPU" else cpu_identity()
    if here is None:
        raise SlipwayError(
            f"this job was planned for the GPU '{identity}' but finds no GPU here; run it where that GPU and its "
            "driver are, or take the target out of config.yaml"
        )
    if here != identity:
        raise SlipwayError(
            f"this job was planned for the {kind} '{identity}' but runs on '{here}'; run it on the planned {planned}, "
            "or set `hardware` of the target in config.yaml to this one"
        )


def _cpuinfo() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return ""
