"""Resolved configurations, and keys, of a configuration that says only what a test is about."""

import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.validation import resolve

WITH_BF16 = "A CPU [avx2 avx512f avx512_bf16 amx_bf16] x8"
ARM_WITH_BF16 = "Neoverse-V1 [bf16 i8mm] x4"
WITHOUT_BF16 = "Old bf16 CPU [avx2] x4"
H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"


def resolved(targets=None, models=None, **sections) -> ResolvedConfig:
    """Return the resolved and valid configuration of a model for targets, by default for a CPU that has bf16."""
    config = {"models": models or {"m": {}}, "targets": targets or {"cpu": {"hardware": WITH_BF16}}, **sections}
    return resolve(complete(config))


def job_keys(*args, **sections) -> JobKeys:
    """Return the keys of the jobs of such a configuration."""
    return JobKeys(resolved(*args, **sections))


def refusal(**targets) -> str:
    """Return why targets are refused."""
    with pytest.raises(SlipwayError) as caught:
        resolved(targets)
    return str(caught.value)


def tensorrt_target(**settings):
    """Return a declared GPU target; its TensorRT is declared too, so nothing of it needs to be here."""
    return {
        "runtime": "tensorrt",
        "hardware": H100,
        "precisions": ["fp16"],
        "tensorrt": {"version": "10.13.3.9"} | settings,
    }
