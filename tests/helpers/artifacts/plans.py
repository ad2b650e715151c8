"""Plans of a configuration that says only what a test is about."""

import pytest

from slipway.errors import SlipwayError
from slipway.planning.config import complete
from slipway.planning.plan import Plan

WITH_BF16 = "A CPU [avx2 avx512f avx512_bf16 amx_bf16] x8"
ARM_WITH_BF16 = "Neoverse-V1 [bf16 i8mm] x4"
WITHOUT_BF16 = "Old bf16 CPU [avx2] x4"
H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"


def plan(targets=None, models=None, **sections) -> Plan:
    """Return the plan of a model for targets, by default for a CPU that has bf16."""
    config = {"models": models or {"m": {}}, "targets": targets or {"cpu": {"hardware": WITH_BF16}}, **sections}
    return Plan(complete(config))


def refusal(**targets) -> str:
    """Return why there is no plan for targets."""
    with pytest.raises(SlipwayError) as caught:
        plan(targets)
    return str(caught.value)


def tensorrt_target(**settings):
    """Return a declared GPU target; its TensorRT is declared too, so nothing of it needs to be here."""
    return {
        "runtime": "tensorrt",
        "hardware": H100,
        "precisions": ["fp16"],
        "tensorrt": {"version": "10.13.3.9"} | settings,
    }
