import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from slipway.core.torchvision_imports import COMPILER, _run

SCRIPTS = Path(__file__).parents[3] / "scripts"
# With deterministic algorithms, roi_align asks whether PyTorch can compile for the device.
PROGRAM = """
import sys
from slipway.core.pytorch import torch
import torchvision
assert "torch._dynamo" not in sys.modules, "torchvision imported the compiler"
features, boxes = torch.rand(1, 3, 16, 16), [torch.tensor([[0, 0, 8.0, 8.0]])]
expected = torchvision.ops.roi_align(features, boxes, 4)
torch.use_deterministic_algorithms(True)
assert torch.allclose(torchvision.ops.roi_align(features, boxes, 4), expected)
from torch._dynamo.utils import is_compile_supported
assert "slipway" not in is_compile_supported.__module__, "the stand-in stayed"
assert torch.compiler.is_compiling() is False
"""


def test_torchvision_is_imported_without_the_compiler_which_still_works():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_module_that_needs_more_of_the_compiler_runs_without_the_stand_in():
    tries = []

    def run(_):
        tries.append(COMPILER in sys.modules and not hasattr(sys.modules[COMPILER], "__file__"))
        if tries[-1]:
            raise ImportError("cannot import name 'counters'")

    _run(run, ModuleType("torchvision.ops.roi_align"))
    assert tries == [True, False]


def test_an_import_that_fails_without_the_stand_in_too_is_an_error():
    def run(_):
        raise ImportError("cannot import name '_C'")

    with pytest.raises(ImportError, match="_C"):
        _run(run, ModuleType("torchvision.ops.roi_align"))
