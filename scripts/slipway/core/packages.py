"""Find the versions of runtimes for any interpreter without importing them, and list Slipway's pinned packages."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.runtimes import RUNTIMES

CUDA_MAJORS = range(11, 16)
ENVIRONMENTS = Path(__file__).resolve().parents[3] / "envs"
# The files with the pinned packages of the build environment and of the serving environment.
BUILDING = ("requirements.txt",)
SERVING = ("serving.txt", "triton.txt")

# Another interpreter runs this program, which prints {distribution: version} of its installed distributions.
_ASK = """
import json, sys
from importlib import metadata
versions = {name: [one.version for one in metadata.distributions(name=name)] for name in sys.argv[1:]}
print(json.dumps({name: several[0] for name, several in versions.items() if several}))
"""


def runtime_version(runtime: str, python: str | None = None) -> str:
    """Return the version of a runtime, such as "tensorrt", that is installed for an interpreter, or "absent".

    `python` is the path of the interpreter; None is this one.
    """
    return next(iter(_installed(python, _names(runtime)).values()), ABSENT)


def require_runtime(name: str, declared: str | None) -> str:
    """Return the version of the runtime `name` that is installed for this interpreter.

    `declared` is the version for which the job was planned; None allows any version. Raises SlipwayError if the runtime
    is absent or has another version.
    """
    installed = runtime_version(name)
    if installed == ABSENT and name == "tensorrt":
        raise SlipwayError(
            "TensorRT is not installed under this interpreter; install it (pip install tensorrt==<the version of your "
            "Triton release>), or name the interpreter that has it as `tensorrt.python` in config.yaml"
        )
    if installed == ABSENT:
        raise SlipwayError(f"{RUNTIMES[name].title} is not installed here; pip install -r envs/requirements.txt")
    if declared not in (None, installed):
        raise SlipwayError(
            f"this job was planned for {name} {declared}, but {installed} runs; run snakemake again; if "
            "config.yaml declares `tensorrt.version`, correct it first"
        )
    return installed


def cuda_version(runtime: str, python: str | None = None) -> str:
    """Return the CUDA version in the name of a runtime's package, such as "cu13", or "linked into the library".

    The package is the one that is installed for the interpreter `python`; None is this one.
    """
    names_with_cuda = [name for name in _installed(python, _names(runtime)) if "-cu" in name]
    return names_with_cuda[0].rsplit("-", maxsplit=1)[-1] if names_with_cuda else "linked into the library"


def _names(runtime: str) -> tuple[str, ...]:
    package = RUNTIMES[runtime].package
    return (package, *(f"{package}-cu{major}" for major in CUDA_MAJORS))


@cache
def _installed(python: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """Return {distribution: version} of the distributions in `names` that are installed for an interpreter.

    `python` is the path of the interpreter; None is this one. Return {} if it cannot be started: the job that uses it
    will report the error.
    """
    interpreter = python or sys.executable
    there, here = Path(interpreter), Path(sys.executable)
    # The interpreters of several environments can be links to the same file, but not their folders.
    if there.parent.resolve() == here.parent.resolve() and there.resolve() == here.resolve():
        return {name: version for name in names if (version := package_version(name)) != ABSENT}
    try:
        command = [interpreter, "-c", _ASK, *names]
        process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {}
    return json.loads(process.stdout)


def required_packages(files: tuple[str, ...] = BUILDING) -> list[str]:
    """Return the sorted names of the packages that `files`, requirements files in the folder envs/, pin."""
    lines = [line for file in files for line in (ENVIRONMENTS / file).read_text(encoding="utf-8").splitlines()]
    return sorted(match[1] for line in lines if (match := re.match(r"([A-Za-z0-9][\w.-]*)(\[[^]]*\])?==", line)))
