"""What this machine computes with: its CPU by name and instruction sets, its NVIDIA GPUs by presence."""

import importlib.util
import os
import platform
from functools import cache
from pathlib import Path

from slipway.errors import SlipwayError

# Instruction sets that decide which kernels a CPU runtime picks, as Linux spells them in /proc/cpuinfo.
INSTRUCTION_SETS = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm"]
BF16_INSTRUCTION_SETS = {"avx512_bf16", "amx_bf16", "bf16"}


@cache
def cpu() -> dict:
    """Return {"name", "architecture", "instruction_sets", "cores"}; cores are those this process may use."""
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
    """Return how many CPU cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_identity() -> str:
    """Return the CPU in one line, as artifacts are keyed on it: name, instruction sets, cores."""
    found = cpu()
    return f"{found['name']} [{' '.join(found['instruction_sets'])}] x{found['cores']}"


def require_cpu(identity: str) -> None:
    """Raise SlipwayError unless this machine's CPU is the one that the job was planned for."""
    here = cpu_identity()
    if here != identity:
        raise SlipwayError(
            f"this job was planned for the CPU '{identity}' but runs on '{here}'; run it on the planned machine, "
            "or set `hardware` of the target in config.yaml to this one"
        )


def tensorrt_with_gpu() -> bool:
    """Say whether Python has TensorRT and the machine an NVIDIA GPU, without importing or initialising either."""
    return importlib.util.find_spec("tensorrt") is not None and Path("/dev/nvidia0").exists()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
