"""What the programs that need NVIDIA ModelOpt say without it, if they are run without Snakemake."""

import argparse

import pytest

import cast_onnx
import diagnose_precision
import quantize_onnx
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT
from slipway.onnx import modelopt


@pytest.mark.parametrize("program", [cast_onnx, quantize_onnx, diagnose_precision])
def test_without_modelopt_a_program_says_how_to_install_it(monkeypatch, program):
    monkeypatch.setattr(modelopt, "package_version", lambda package: ABSENT)
    with pytest.raises(SlipwayError, match="nvidia-modelopt is not installed here; pip install -r envs/requirements"):
        program.main(argparse.Namespace())
