"""Which TensorRT an interpreter has, found without importing it; which packages Slipway asks for."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from slipway.runtimes import RUNTIMES

CUDA_MAJORS = range(11, 16)
ABSENT = "absent"
REQUIREMENTS = Path(__file__).resolve().parents[3] / "envs" / "requirements.txt"

# Run by the interpreter in question: prints {distribution: version} of those that it has.
_ASK = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def runtime_version(runtime: str, python: str | None = None) -> str:
    """Return the version of `tensorrt` or `tensorrt_rtx` under an interpreter (None: this one), or "absent"."""
    return next(iter(_installed(python, _names(runtime)).values()), ABSENT)


def cuda_version(runtime: str, python: str | None = None) -> str:
    """Return the CUDA that a runtime brings: that of its package's name or, as in older wheels, linked inside."""
    of_one_cuda = [name for name in _installed(python, _names(runtime)) if "-cu" in name]
    return of_one_cuda[0].rsplit("-", maxsplit=1)[-1] if of_one_cuda else "linked into the library"


def _names(runtime: str) -> tuple[str, ...]:
    package = RUNTIMES[runtime].package
    return (package, *(f"{package}-cu{major}" for major in CUDA_MAJORS))


@cache
def _installed(python: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """Return {distribution: version}; nothing when the interpreter cannot be started, which the job will say."""
    if python is None or _is_this(python):
        return _here(names)
    try:
        done = subprocess.run([python, "-c", _ASK, *names], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {}
    return json.loads(done.stdout)


def _is_this(python: str) -> bool:
    """Say whether `python` is this interpreter: in its folder, too, since environments are links to the same file."""
    there, here = Path(python), Path(sys.executable)
    return there.parent.resolve() == here.parent.resolve() and there.resolve() == here.resolve()


def _here(names: tuple[str, ...]) -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def asked_packages() -> list[str]:
    """Return the names of the packages that Slipway asks for, sorted."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return sorted(found[1] for line in lines if (found := re.match(r"([A-Za-z0-9][\w.-]*)(\[[^]]*\])?==", line)))
