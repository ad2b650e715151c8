"""The Python interpreter for Triton's Python backend: make any interpreter usable for the backend's stub.

The stub is a program that embeds Python, and needs the libpython of its Python version. From Python 3.11 on, the stub
ignores PYTHONHOME and PYTHONPATH, and uses the packages of the first python3 on PATH. So this module makes a virtual
environment that only lists the folders of the interpreter, and a script that starts the stub. The script puts that
environment first on PATH, and sets the variables that the interpreter's own start script sets. The server's environment
stays unchanged, so PYTHONHOME or LD_PRELOAD of one interpreter does not reach other processes of the server.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import environment_of
from slipway.triton.server.plain_paths import joined, listed, seen_from

_QUESTION = """
import json, os, sys, sysconfig
try:
    import numpy
except ImportError:
    numpy = None
version = "%d.%d" % sys.version_info[:2]
folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
print(json.dumps({
    "version": version,
    "numpy": numpy and numpy.__version__,
    "executable": getattr(sys, "_base_executable", sys.executable),
    "packages": [os.path.abspath(path) for path in sys.path if path],
    "libraries": [path for path in folders if os.path.exists(os.path.join(path, "libpython%s.so.1.0" % version))],
    "environment": dict(os.environ),
}))
"""
# Variables that a shell or a terminal library changes, and that are not copied.
_NOT_ITS_OWN = {"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL"}


@dataclass(frozen=True)
class Interpreter:
    """The properties of a Python interpreter.

    `version` is text such as "3.10". `numpy` is the version of its NumPy, or None. `executable` is the real program
    behind a script or a virtual environment. `packages` is its sys.path, `libraries` are the folders with its
    libpython. `changes` is {name: value, or None for a removed variable}: the environment variables that its start
    script changes.
    """

    version: str
    numpy: str | None
    executable: Path
    packages: list[str]
    libraries: list[str]
    changes: dict[str, str | None]


def ask_interpreter(python: Path) -> Interpreter:
    """Start `python`, an interpreter or a script that starts one, and return the properties of the interpreter.

    Raises SlipwayError if `python` fails or needs more than 60 s.
    """
    try:
        done = subprocess.run(
            [str(python), "-c", _QUESTION],
            env=environment_of(python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        description = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        reason = error if isinstance(error, OSError | subprocess.TimeoutExpired) else done.stderr.strip()[-500:]
        raise SlipwayError(
            f"{python} does not run as a Python interpreter: {reason}; name another interpreter"
        ) from None
    after = description.pop("environment")
    names = (os.environ.keys() | after.keys()) - _NOT_ITS_OWN
    changes = {name: after.get(name) for name in sorted(names) if after.get(name) != os.environ.get(name)}
    return Interpreter(**description | {"executable": Path(description["executable"])}, changes=changes)


def write_stub_launcher(launcher: Path, stub: Path, interpreter: Interpreter, folder: Path) -> None:
    """Write the script `launcher` with which Triton's Python backend runs models in the given interpreter.

    `stub` is Triton's triton_python_backend_stub, the process that runs a model of the Python backend. `folder` is the
    working folder of the stub, and gets a virtual environment for it.
    """
    environment = folder / "python"
    _write_environment(environment, interpreter)
    path = joined(listed(folder, environment / "bin"), interpreter.changes.get("PATH", os.environ.get("PATH")))
    own = interpreter.changes.get("LD_LIBRARY_PATH", os.environ.get("LD_LIBRARY_PATH"))
    libraries = [listed(folder, Path(library)) for library in dict.fromkeys(interpreter.libraries)]
    changes = interpreter.changes | {"PATH": path, "LD_LIBRARY_PATH": joined(own, *libraries)}
    write_launcher(launcher, [str(stub)], changes)


def write_launcher(
    launcher: Path, command: list[str], changes: dict[str, str | None], before: Sequence[list[str]] = ()
) -> None:
    """Write a script that starts `command`, with the caller's arguments appended, in a changed environment.

    `changes` is {variable: value, or None to remove the variable}. The commands in `before` run first; their failures
    are ignored.
    """
    lines = [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in sorted(changes.items())
        if name.isidentifier()
    ]
    lines += [f"{shlex.join(earlier)} > /dev/null 2>&1" for earlier in before]
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.unlink(missing_ok=True)  # an earlier version put a link there; a write would follow it
    launcher.write_bytes(os.fsencode("\n".join(["#!/bin/sh", *lines, f'exec {shlex.join(command)} "$@"', ""])))
    launcher.chmod(0o755)


def _write_environment(folder: Path, interpreter: Interpreter) -> None:
    """Make a virtual environment in `folder` with the packages of `interpreter`: a .pth file lists their folders."""
    packages = folder / "lib" / f"python{interpreter.version}" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    # The paths are bytes in a line of code, because an embedded interpreter fails at a name that is not ASCII.
    names = [os.fsencode(path) for path in interpreter.packages]
    # No bytecode: on a full disk Python leaves a truncated file beside a model, which then cannot be loaded.
    extend = f"import os, sys; sys.dont_write_bytecode = True; sys.path.extend(map(os.fsdecode, {names}))\n"
    (packages / "interpreter.pth").write_text(extend, encoding="ascii")
    own = interpreter.executable.parent
    home = str(own) if str(own).isascii() else f"{seen_from(folder.parent, own.parent)}/{own.name}"
    settings = f"home = {home}\ninclude-system-site-packages = false\n"
    (folder / "pyvenv.cfg").write_text(settings, encoding="ascii")
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python3"
    python.unlink(missing_ok=True)
    python.symlink_to(interpreter.executable)
