"""Import torchvision without PyTorch's compiler, whose import would take as long as PyTorch's.

The module NEEDS_COMPILER takes one function from COMPILER, and so imports the compiler. Only detection networks call
this function, and only with deterministic algorithms. While NEEDS_COMPILER is imported, a stand-in takes the place of
COMPILER. The stand-in has this one function, which imports the compiler when it is called.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# This module makes no artifact.
PART_OF_KEYS = False

NEEDS_COMPILER, COMPILER = "torchvision.ops.roi_align", "torch._dynamo.utils"


def is_compile_supported(device_type: Any) -> bool:
    """Return whether PyTorch can compile for a device, such as "cuda", by asking PyTorch's function of this name."""
    from torch._dynamo import utils

    return utils.is_compile_supported(device_type)


@contextlib.contextmanager
def _stand_in() -> Iterator[None]:
    """Context manager: in the block, a stand-in with only `is_compile_supported` replaces the module COMPILER."""
    module = ModuleType(COMPILER)
    vars(module)["is_compile_supported"] = is_compile_supported
    sys.modules[COMPILER] = module
    try:
        yield
    finally:
        del sys.modules[COMPILER]


def _run(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Run the code of a module by `run(module)`, with the stand-in of `_stand_in` in place of the compiler.

    If the code needs more of the compiler than the stand-in has, run it again with the real compiler.
    """
    with contextlib.suppress(ImportError), _stand_in():
        run(module)
        return
    run(module)


class WithoutCompiler(MetaPathFinder):
    """A finder for `sys.meta_path`: with it, Python imports NEEDS_COMPILER with a stand-in for the compiler."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the import specification of the module NEEDS_COMPILER, with which its code runs with the stand-in.

        Return None for other modules, or if PyTorch's compiler is already imported: then other finders find the module.
        """
        if name != NEEDS_COMPILER or COMPILER in sys.modules:
            return None
        if (spec := PathFinder.find_spec(name, path, target)) and spec.loader:
            vars(spec.loader)["exec_module"] = partial(_run, spec.loader.exec_module)
        return spec
