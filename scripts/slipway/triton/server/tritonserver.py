"""Find a tritonserver on this machine, and run it.

A `tritonserver` on PATH is used if it has the backends of the models (as in NVIDIA's container). Else the server in the
nvidia-pytriton wheel is used, which has only the Python backend.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.core.artifacts import make_folder, make_way_for_file
from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import MAKE_IT, serving_python, wheel
from slipway.deploy.local.server_state import new_id, who_listens
from slipway.triton.client.ports import Ports
from slipway.triton.server.interpreter import ask_interpreter, write_stub_launcher
from slipway.triton.server.leftovers import owner_variable, region_flag
from slipway.triton.server.ownership import is_ready, require_own
from slipway.triton.server.plain_paths import joined, listed, make_link, seen_from

# The configuration name for servers with only the Python backend: configs/python.pbtxt.
PYTHON_CONFIGURATION = "python"
# The folder of the backends in NVIDIA's container.
CONTAINER_BACKENDS = Path("/opt/tritonserver/backends")
# Allows Triton's TensorRT backend to load version-compatible engines.
LOAD_COMPATIBLE = "--backend-config=tensorrt,version-compatible=true"
# Metrics in addition to the counters: latency quantiles of the last 60 seconds, each with its allowed error. Triton has
# no histogram of these latencies: 2.51 has none at all, and later releases have one of the first response of decoupled
# models. At 3000 requests/s the quantiles cost less than the noise of measurements.
METRICS_FLAGS = (
    "--metrics-config=summary_latencies=true",
    "--metrics-config=summary_quantiles=0.5:0.01,0.9:0.01,0.99:0.001",
)
# The folder of the backends of the wheel's server, below its working folder.
BACKENDS = "backends"
# Timeout for a server to drain: Triton's own --exit-timeout-secs is 30.
DRAIN_S = 35


@dataclass(frozen=True)
class Installation:
    """A tritonserver that can be started: its program, its flags, and its working folder."""

    program: str
    native_backends: bool
    folder: Path
    flags: tuple[str, ...] = ()

    def command(self, repositories: list[Path], ports: Ports, *flags: str) -> list[str]:
        """Return the command line that serves `repositories` at `ports`, to run in `folder`."""
        repository_flags = [f"--model-repository={seen_from(self.folder, path)}" for path in repositories]
        configuration = [] if self.native_backends else [f"--model-config-name={PYTHON_CONFIGURATION}"]
        program = [self.program, *self.flags, *configuration, *repository_flags, "--disable-auto-complete-config"]
        return [*program, *ports.flags(), *METRICS_FLAGS, *flags]

    def for_engines(self, keys: Iterable[dict]) -> "Installation":
        """Return this installation, with the flag for version-compatible engines if some keys need it.

        Triton's TensorRT backend refuses such engines without the flag. The Python backend needs no flag.
        """
        compatible = any(key.get("builder", {}).get("compatibility") == "version" for key in keys)
        return replace(self, flags=(*self.flags, LOAD_COMPATIBLE)) if compatible and self.native_backends else self


def find_installation(workspace: Path, backends: Collection[str], python: Path | None = None) -> Installation:
    """Return the tritonserver of this machine for models that need these backends.

    If it has all of them, it serves the models natively. Else it uses the Python backend, under `python` (by default
    the one of the environment that serves). `workspace` is its working folder, and gets the files that the wheel's
    server needs.
    """
    folder = workspace.resolve()
    if native := on_path_with(backends):
        return Installation(native, native_backends=True, folder=folder)
    if package := wheel():
        program = package / "tritonserver" / "bin" / "tritonserver"
        _lay_out_backends(package, folder, python or serving_python())
        flags = (f"--backend-directory={BACKENDS}",)
        return Installation(str(program), native_backends=False, folder=folder, flags=flags)
    if on_path := shutil.which("tritonserver"):
        return Installation(on_path, native_backends=False, folder=folder)
    raise SlipwayError(f"no tritonserver was found: put one on PATH, or install the wheel that carries one ({MAKE_IT})")


def on_path_with(backends: Collection[str]) -> str | None:
    """Return the tritonserver on PATH with all of these backends; None if there is none."""
    found = shutil.which("tritonserver")
    return found if found and set(backends) <= native_backends(found) else None


def native_backends(program: str) -> set[str]:
    """Return the backends of a tritonserver, without the Python backend."""
    beside = Path(program).resolve().parents[1] / "backends"
    folders = [folder for root in (beside, CONTAINER_BACKENDS) if root.is_dir() for folder in root.iterdir()]
    return {folder.name for folder in folders} - {"python"}


def perf_analyzer_environment(workspace: Path) -> dict[str, str]:
    """Return variables with which tritonclient's perf_analyzer finds its libraries, linked below `workspace`.

    The binary of tritonclient 2.51.0 needs the names libb64.so.0d and libcudart.so.12. nvidia-pytriton has both, with a
    hash in their names. Without that wheel the result is {}.
    """
    if (package := wheel()) is None:
        return {}
    libraries = package.parent / "nvidia_pytriton.libs"
    folder = workspace / "lib"
    for wanted, pattern in {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}.items():
        if matching := sorted(libraries.glob(pattern)):
            make_link(folder / wanted, matching[0])
    return {"LD_LIBRARY_PATH": joined(listed(workspace, folder), os.environ.get("LD_LIBRARY_PATH"))}


class Server:
    """A tritonserver in the background, as a context manager that always stops it."""

    def __init__(
        self,
        installation: Installation,
        repositories: list[Path],
        ports: Ports,
        log: Path,
        *flags: str,
        server_id: str | None = None,
    ) -> None:
        self.ports = ports
        self.log = log
        self.id = server_id or new_id(log.parent)
        self._folder = installation.folder
        self._command = installation.command(repositories, ports, *flags, f"--id={self.id}", region_flag(self.id))

    def start(self) -> subprocess.Popen:
        """Start the server in its own session, so that it outlives this program; return its process."""
        make_way_for_file(self.log)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **owner_variable(self.id)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def wait_until_ready(self, timeout_s: float) -> float:
        """Wait until server and models are ready; return the seconds that it took.

        Raises SlipwayError with the end of the server's log if it ends, or takes longer than `timeout_s`.
        """
        start = time.monotonic()
        while time.monotonic() - start < timeout_s:
            self._require_running()
            if is_ready(self.process.pid, self.id, self.ports):
                return time.monotonic() - start
            time.sleep(0.1)
        raise SlipwayError(
            f"tritonserver was not ready within {timeout_s:.0f} s; raise deploy.ready_timeout_s, or see:"
            f"\n{log_end(self.log)}"
        )

    def require_own(self) -> None:
        """Raise SlipwayError unless this server answers at its ports."""
        self._require_running()
        require_own(self.process.pid, self.id, self.ports)

    def _require_running(self) -> None:
        """Raise SlipwayError if the server ended, with the end of its log and the program that has one of its ports."""
        if self.process.poll() is not None:
            others = [f"port {port} is taken by {who_listens(port)}; " for port in self.ports.taken()]
            raise SlipwayError(
                f"tritonserver ended with exit code {self.process.returncode}: {''.join(others[:1])}its log says"
                f"\n{log_end(self.log)}"
            )

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        stop_process(self.process.pid, timeout_s=30)
        self.process.wait()


def log_end(path: Path, lines: int = 15) -> str:
    """Return the log's lines about models that could not be loaded, else the end of the log."""
    log = path.read_text(encoding="utf-8", errors="replace").splitlines()
    failures = [line.partition("] ")[2].strip('"') for line in log if re.match("E.*failed to load '.*version", line)]
    if whys := [failure.partition(r"\n\nAt:")[0].replace(r"\n", "\n") for failure in failures]:
        return "\n".join([*dict.fromkeys(whys), f"The whole log is {path}"])
    return "\n".join(log[-lines:])


def stop_process(pid: int, timeout_s: float) -> None:
    """Drain and end a server (SIGTERM); after `timeout_s` kill it and its children (SIGKILL)."""
    import psutil

    try:
        server = psutil.Process(pid)
        family = [server, *server.children(recursive=True)]
        server.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs(family, timeout=timeout_s)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _lay_out_backends(package: Path, workspace: Path, python: Path) -> None:
    """Make a backend folder in a workspace: links to the wheel's Python backend, and its stub for `python`."""
    interpreter = ask_interpreter(python)
    stub = package / "tritonserver" / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    if not stub.is_file():
        stubs = sorted(found.name for found in stub.parents[1].iterdir())
        raise SlipwayError(
            f"nvidia-pytriton has no Python backend for Python {interpreter.version} ({python}); it has "
            f"{', '.join(stubs)}"
        )
    if interpreter.numpy is None or int(interpreter.numpy.split(".")[0]) >= 2:
        # The stub is built for NumPy 1. With NumPy 2 it gives no error, but serves zeros or nothing.
        raise SlipwayError(
            f"the Python backend of nvidia-pytriton needs NumPy 1, but {python} has {interpreter.numpy or 'none'}: "
            "install `numpy<2` there"
        )
    folder = workspace / BACKENDS / "python"
    make_folder(folder.parent)
    make_folder(folder)
    for file in (package / "tritonserver" / "backends" / "python").iterdir():
        make_link(folder / file.name, file)
    write_stub_launcher(folder / stub.name, stub, interpreter, workspace)
