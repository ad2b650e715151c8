"""The serving environment: Triton's wheel, the Python of its Python backend, and perf_analyzer.

The wheel's server needs NumPy 1, and a Python that NumPy 1 supports. So `make` installs it into a separate environment,
the folder `serving` in the build environment. Without this folder, the packages of this interpreter are used.
"""

import os
import shlex
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.runtimes.traits import RuntimeTraits

FOLDER = Path(sys.prefix) / "serving"
# The folder with wheels of which only programs are used. `make` fills it. No interpreter imports from it.
PROGRAMS = FOLDER / "triton"
# The command that makes the serving environment.
MAKE_IT = f"scripts/make_serving {shlex.quote(sys.prefix)}"
# The variables that would make the packages of another environment visible to the serving interpreter.
_LEADING_ELSEWHERE = {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"}


def is_separate() -> bool:
    """Say whether Triton's wheel and its tools have an environment of their own, apart from this interpreter's."""
    return (FOLDER / "bin" / "python").exists()


def serving_python() -> Path:
    """Return the path of the Python interpreter in the environment of Triton's wheel.

    If the wheel has no environment of its own, it is this interpreter.
    """
    return FOLDER / "bin" / "python" if is_separate() else Path(sys.executable)


def environment_of(python: Path) -> dict[str, str]:
    """Return the environment variables, {name: value}, for starting the interpreter `python`.

    For the interpreter of the serving environment, they are changed so that it imports only its own packages.
    """
    if not is_separate() or python != serving_python():
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in _LEADING_ELSEWHERE}
    return kept | {"PYTHONNOUSERSITE": "1"}


@cache
def serving_version(package: str) -> str:
    """Return the version of a package in the environment of Triton's wheel, or "absent"."""
    if not is_separate():
        return package_version(package)
    folders = [PROGRAMS, *sorted(FOLDER.glob("lib/python3.*/site-packages"))]
    distributions = metadata.distributions(name=package, path=list(map(str, folders)))
    return next((distribution.version for distribution in distributions), ABSENT)


def require_same_version(name: str, runtime: RuntimeTraits, built: str) -> None:
    """Raise SlipwayError if a separate serving environment has another version of a runtime than `built`.

    `built` is the version that built and tested an engine. `name` begins the message, such as "config: target cpu".
    """
    serving = serving_version(runtime.serving_package)
    if is_separate() and serving != built:
        other = "none" if serving == ABSENT else serving
        raise SlipwayError(
            f"{name} is built by {runtime.title} {built}, but {other} would serve it, in {FOLDER}; "
            f"`{MAKE_IT}` installs there what envs/serving.txt pins, and `pip install -r envs/requirements.txt` here"
        )


def wheel() -> Path | None:
    """Return the folder of the package nvidia-pytriton, which contains tritonserver; None if it is not installed."""
    if is_separate():
        folder = PROGRAMS / "pytriton"
        return folder if folder.is_dir() else None
    spec = find_spec("pytriton")
    return Path(spec.origin).parent if spec and spec.origin else None


def serving_program(name: str) -> Path:
    """Return the path of a program, such as "perf_analyzer", in the environment of Triton's wheel. It may not exist."""
    return PROGRAMS / "bin" / name if is_separate() else Path(sys.executable).with_name(name)
