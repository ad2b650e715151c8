"""Finding a tritonserver on this machine and running it.

A `tritonserver` on PATH is taken first (inside NVIDIA's container, say), else the one that the nvidia-pytriton wheel
carries, which has the Python backend only.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from slipway.errors import SlipwayError

# The name that a repository gives the configuration which needs only the Python backend: configs/python.pbtxt.
PYTHON_CONFIGURATION = "python"
# How long a server is given to drain: Triton's own --exit-timeout-secs is 30.
DRAIN_S = 35


@dataclass(frozen=True)
class Ports:
    """Where a server listens."""

    http: int
    grpc: int
    metrics: int
    host: str = "127.0.0.1"

    @classmethod
    def free(cls) -> "Ports":
        """Return three ports of 127.0.0.1 that nobody listens on."""
        sockets = [socket.socket() for _ in range(3)]
        try:
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return cls(*(one.getsockname()[1] for one in sockets))
        finally:
            for one in sockets:
                one.close()

    def taken(self) -> list[int]:
        """Return the ports that somebody already listens on."""
        return [port for port in (self.http, self.grpc, self.metrics) if not _can_bind(self.host, port)]


@dataclass(frozen=True)
class Installation:
    """A tritonserver that can be started: its program, and what it needs from the environment and its flags."""

    program: str
    native_backends: bool
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def command(self, repositories: list[Path], ports: Ports, *flags: str) -> list[str]:
        """Return the command line that serves `repositories` at `ports`."""
        repository_flags = [f"--model-repository={Path(repository).resolve()}" for repository in repositories]
        configuration = [] if self.native_backends else [f"--model-config-name={PYTHON_CONFIGURATION}"]
        as_written = "--disable-auto-complete-config"
        return [
            *(self.program, *self.flags, *configuration, *repository_flags, as_written),
            *(*listening_flags(ports), *flags),
        ]


def find_installation(workspace: Path) -> Installation:
    """Return the tritonserver of this machine; `workspace` receives the links that the wheel's server needs."""
    on_path = shutil.which("tritonserver")
    if on_path:
        return Installation(on_path, native_backends=True)
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise SlipwayError(
            "no tritonserver was found: put one on PATH, or install the wheel that carries one "
            "(pip install -r envs/requirements.txt)"
        )
    package = Path(spec.origin).parent
    return Installation(
        str(package / "tritonserver" / "bin" / "tritonserver"),
        native_backends=False,
        environment=_wheel_environment(package),
        flags=(f"--backend-directory={_linked_backends(package, workspace)}",),
    )


def listening_flags(ports: Ports) -> list[str]:
    """Return the flags that make a server listen at `ports` and nowhere else."""
    kinds = {"http": ports.http, "grpc": ports.grpc, "metrics": ports.metrics}
    return [
        flag for kind, port in kinds.items() for flag in (f"--{kind}-port={port}", f"--{kind}-address={ports.host}")
    ]


def perf_analyzer_environment(workspace: Path) -> dict[str, str]:
    """Return the environment in which tritonclient's perf_analyzer finds its two libraries, linked below `workspace`.

    The binary of tritonclient 2.51.0 wants libb64.so.0d and libcudart.so.12 by those names; nvidia-pytriton carries
    both under names with a hash.
    """
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        return {}
    libraries = _libraries(Path(spec.origin).parent)
    folder = workspace / "lib"
    for wanted, pattern in {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}.items():
        found = sorted(libraries.glob(pattern))
        if found:
            _link(folder / wanted, found[0])
    return {"LD_LIBRARY_PATH": _joined(str(folder), os.environ.get("LD_LIBRARY_PATH"))}


class Server:
    """A tritonserver in the background, as a context manager that always stops it."""

    def __init__(self, installation: Installation, repositories: list[Path], ports: Ports, log: Path) -> None:
        self.ports = ports
        self.log = log
        self._command = installation.command(repositories, ports)
        self._environment = {**os.environ, **installation.environment}

    def start(self) -> subprocess.Popen:
        """Start the server in a session of its own, so that it outlives this program unless stopped."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def wait_until_ready(self, timeout_s: float) -> float:
        """Wait until server and models are ready; return the seconds it took.

        Raises SlipwayError with the end of the server's log when it dies or takes longer than `timeout_s`.
        """
        import tritonclient.http as client

        start = time.monotonic()
        with client.InferenceServerClient(f"{self.ports.host}:{self.ports.http}") as asking:
            while time.monotonic() - start < timeout_s:
                if self.process.poll() is not None:
                    raise SlipwayError(
                        f"tritonserver ended with exit code {self.process.returncode}:\n{self.log_end()}"
                    )
                try:
                    if asking.is_server_ready():
                        return time.monotonic() - start
                except Exception:  # the client raises whatever its transport does until the port is open
                    pass
                time.sleep(0.1)
        raise SlipwayError(
            f"tritonserver was not ready within {timeout_s:.0f} s; raise deploy.ready_timeout_s, or see:"
            f"\n{self.log_end()}"
        )

    def log_end(self, lines: int = 15) -> str:
        """Return the end of the server's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        stop_process(self.process.pid, timeout_s=30)
        self.process.wait()


def stop_process(pid: int, timeout_s: float) -> None:
    """Ask a server to drain and end (SIGTERM); after `timeout_s` end it and its children (SIGKILL to its group)."""
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


def _wheel_environment(package: Path) -> dict[str, str]:
    """Return what the wheel's server and its Python stub need from the environment.

    The stub embeds an interpreter that takes its packages from the first python3 on PATH, so this environment's must be
    that: with another's NumPy 2 the stub, which was built for NumPy 1, silently serves zeros.
    """
    return {
        "PATH": _joined(str(Path(sys.executable).parent), os.environ.get("PATH")),
        "LD_LIBRARY_PATH": _joined(str(_libraries(package)), _libpython_folder(), os.environ.get("LD_LIBRARY_PATH")),
    }


def _libraries(package: Path) -> Path:
    return package.parent / "nvidia_pytriton.libs"


def _libpython_folder() -> str:
    """Return where this interpreter's shared library is; the Python backend's stub is linked against it."""
    return sysconfig.get_config_var("LIBDIR") or str(Path(sys.base_prefix) / "lib")


def _linked_backends(package: Path, workspace: Path) -> Path:
    """Return a backend directory with the wheel's Python backend and the stub of this Python version, as links."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = package / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise SlipwayError(f"nvidia-pytriton has no Python backend for Python {version}; use Python 3.11 or 3.12")
    folder = workspace.resolve() / "backends" / "python"
    for file in [*(package / "tritonserver" / "backends" / "python").iterdir(), stub]:
        _link(folder / file.name, file)
    return folder.parent


def _link(name: Path, target: Path) -> None:
    """Make `name` a symbolic link to `target`, whatever it was before."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if not (name.is_symlink() and name.readlink() == target):
        name.unlink(missing_ok=True)
        name.symlink_to(target)


def _joined(*parts: str | None) -> str:
    return os.pathsep.join(part for part in parts if part)


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
