"""Find a tritonserver on this machine, and run it.

It is the one on PATH, that of NVIDIA's image in a container, or that of the nvidia-pytriton wheel, which has only the
Python backend. Planning chooses (`server_choice.py`). Without a choice, a `tritonserver` on PATH is used if it has the
backends of the models, else the wheel's.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.core.artifacts import make_way_for_file
from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu
from slipway.core.serving_environment import MAKE_IT, serving_python, wheel
from slipway.deploy.local.server_state import new_id, who_listens
from slipway.triton.client.ports import Ports
from slipway.triton.server.container import Container
from slipway.triton.server.container_programs import (
    fetched_image,
    note_program,
    remove_containers,
    usable_program,
    wait_for_pid,
)
from slipway.triton.server.leftovers import owner_variable, region_flag
from slipway.triton.server.on_path import on_path_with
from slipway.triton.server.ownership import is_ready, require_in_sight, require_own
from slipway.triton.server.plain_paths import joined, listed, make_link, seen_from
from slipway.triton.server.restricted_apis import FIRST_RELEASE, can_guard
from slipway.triton.server.server_options import (
    CONTAINER,
    PATH,
    RELEASE_VARIABLE,
    WHEEL,
    ServerChoice,
    why_other_release,
)
from slipway.triton.server.wheel_backends import BACKENDS, lay_out_backends

# The configuration name for servers with only the Python backend: configs/python.pbtxt.
PYTHON_CONFIGURATION = "python"
# Allows Triton's TensorRT backend to load version-compatible engines.
LOAD_COMPATIBLE = "--backend-config=tensorrt,version-compatible=true"
# Metrics in addition to the counters: latency quantiles of the last 60 seconds, each with its allowed error. Triton has
# no histogram of these latencies: 2.51 has none at all, and later releases have one of the first response of decoupled
# models. At 3000 requests/s the quantiles cost less than the noise of measurements.
METRICS_FLAGS = (
    "--metrics-config=summary_latencies=true",
    "--metrics-config=summary_quantiles=0.5:0.01,0.9:0.01,0.99:0.001",
)
# Timeout for a server to drain: Triton's own --exit-timeout-secs is 30.
DRAIN_S = 35
# Timeout for a container to start its first process.
CONTAINER_START_S = 120


@dataclass(frozen=True)
class Installation:
    """A tritonserver that can be started: its program, its flags, and its working folder.

    `run` is "path", "wheel" or "container", and `container` is the latter's; its program is that of the container.
    `stated_release` is the release of the wheel's server as planning knows it.
    """

    program: str
    native_backends: bool
    folder: Path
    flags: tuple[str, ...] = ()
    run: str = PATH
    container: Container | None = None
    stated_release: str | None = None

    def command(self, repositories: list[Path], ports: Ports, *flags: str, name: str = "") -> list[str]:
        """Return the command line that serves `repositories` at `ports`, to run in `folder`.

        `name` is the name of the container, if there is one.
        """
        configuration = [] if self.native_backends else [f"--model-config-name={PYTHON_CONFIGURATION}"]
        own = [*self.flags, *configuration, "--disable-auto-complete-config"]
        if self.container:
            return self.container.server_command(name, repositories, ports, [*own, *METRICS_FLAGS, *flags])
        repository_flags = [f"--model-repository={seen_from(self.folder, path)}" for path in repositories]
        return [self.program, *own, *repository_flags, *ports.flags(), *METRICS_FLAGS, *flags]

    def for_engines(self, keys: Iterable[dict], shares_memory: bool = False) -> "Installation":
        """Return this installation with what engines with these keys need.

        That is the flag for version-compatible engines, which Triton's TensorRT backend refuses without it (the Python
        backend needs no flag), and the GPUs and shared memory of a container.
        """
        keys = list(keys)
        compatible = any(key.get("builder", {}).get("compatibility") == "version" for key in keys)
        flags = (*self.flags, LOAD_COMPATIBLE) if compatible and self.native_backends else self.flags
        on_gpu = any(is_gpu(key.get("hardware", "")) for key in keys)
        container = self.container and replace(self.container, on_gpu=on_gpu, shares_memory=shares_memory)
        return replace(self, flags=flags, container=container)

    @property
    def release(self) -> str | None:
        """Return the Triton release of the server; None if it is unknown."""
        if self.container:
            return self.container.release
        return os.environ.get(RELEASE_VARIABLE) if self.run == PATH else self.stated_release

    @property
    def can_guard(self) -> bool:
        """Say whether the server can restrict its APIs; the unknown release of an image counts as a newer one."""
        if self.container:
            return self.release is None or self.release >= FIRST_RELEASE
        return can_guard(self.program)

    def facts(self) -> dict:
        """Return what a record states of the server: {"run", "program", "native_backends", "release"}.

        For a container also the name and the id of its image.
        """
        stated = {"run": self.run, "program": Path(self.program).name, "native_backends": self.native_backends}
        image = {"image": self.container.image, "image_id": self.container.found.id} if self.container else {}
        return {**stated, "release": self.release, **image}


def find_installation(
    workspace: Path, backends: Collection[str], python: Path | None = None, choice: ServerChoice | None = None
) -> Installation:
    """Return the tritonserver of this machine for models that need these backends, by default as planning chooses it.

    If it has all of them, it serves the models natively. Else it uses the Python backend, under `python` (by default
    the one of the environment that serves). `workspace` is its working folder, and gets the files that the wheel's
    server needs. No container is started without a choice, since only planning knows its image.
    """
    folder, run = workspace.resolve(), choice.run if choice else None
    if choice and run == CONTAINER:
        return _in_container(folder, choice)
    if run != WHEEL and (native := on_path_with(backends)):
        return Installation(native, native_backends=True, folder=folder)
    if run != PATH and (package := wheel()):
        program = package / "tritonserver" / "bin" / "tritonserver"
        lay_out_backends(package, folder, python or serving_python())
        flags = (f"--backend-directory={BACKENDS}",)
        release = choice.release if choice else None
        return Installation(str(program), False, folder, flags, run=WHEEL, stated_release=release)
    if run != WHEEL and (on_path := shutil.which("tritonserver")):
        return Installation(on_path, native_backends=False, folder=folder)
    raise SlipwayError(f"no tritonserver was found: put one on PATH, or install the wheel that carries one ({MAKE_IT})")


def _in_container(folder: Path, choice: ServerChoice) -> Installation:
    """Return the server of an image, which is pulled if it is not here; raise SlipwayError if it cannot be had."""
    program, why = usable_program()
    if program is None or choice.image is None:
        reason = why or "no image is named"
        raise SlipwayError(f"no container can run here: {reason}; set `triton.run` to auto or wheel")
    found = fetched_image(program, choice.image)
    if other := why_other_release(choice.image, found.environment, choice.release):
        raise SlipwayError(f"{other}; correct one of them")
    note_program(program, folder)
    release = found.environment.get(RELEASE_VARIABLE) or choice.release
    container = Container(program, choice.image, found, release)
    return Installation(program.name, native_backends=True, folder=folder, run=CONTAINER, container=container)


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
        self._installation = installation
        own = (f"--id={self.id}", region_flag(self.id))
        self._command = installation.command(repositories, ports, *flags, *own, name=self.id)

    def start(self) -> subprocess.Popen:
        """Start the server in its own session, so that it outlives this program; return the started process.

        `pid` is the id of the server. In a container the started process is another one, which writes the log.
        """
        make_way_for_file(self.log)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._installation.folder,
                env={**os.environ, **owner_variable(self.id)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._pid_in_container() if self._installation.container else self.process.pid
        return self.process

    def _pid_in_container(self) -> int:
        """Return the id of the server in its container; raise SlipwayError if it does not start, or not here."""
        program = self._installation.container.program
        try:
            if pid := wait_for_pid(program, self.id, self.process, CONTAINER_START_S):
                require_in_sight(pid, self.id, program.name)
                return pid
            self._require_running()
            raise SlipwayError(f"`{program.name} run` started no process in {CONTAINER_START_S} s; see {self.log}")
        except BaseException:
            self.process.kill()
            self.process.wait()
            remove_containers(self._installation.folder, self.id, but_of=set())
            raise

    def wait_until_ready(self, timeout_s: float) -> float:
        """Wait until server and models are ready; return the seconds that it took.

        Raises SlipwayError with the end of the server's log if it ends, or takes longer than `timeout_s`.
        """
        start = time.monotonic()
        while time.monotonic() - start < timeout_s:
            self._require_running()
            if is_ready(self.pid, self.id, self.ports):
                return time.monotonic() - start
            time.sleep(0.1)
        raise SlipwayError(
            f"tritonserver was not ready within {timeout_s:.0f} s; raise deploy.ready_timeout_s, or see:"
            f"\n{log_end(self.log)}"
        )

    def require_own(self) -> None:
        """Raise SlipwayError unless this server answers at its ports."""
        self._require_running()
        require_own(self.pid, self.id, self.ports)

    def ended(self, within_s: float = 0) -> str | None:
        """Return how the server ended, in words; None if it still runs after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f"{self._in_words()} ended with exit code {self.process.wait(within_s)}"
        return None

    def _require_running(self) -> None:
        """Raise SlipwayError if the server ended, with the end of its log and the program that has one of its ports."""
        if ended := self.ended():
            others = [f"port {port} is taken by {who_listens(port)}; " for port in self.ports.taken()]
            raise SlipwayError(f"{ended}: {''.join(others[:1])}its log says\n{log_end(self.log)}")

    @property
    def container_owner(self) -> str | None:
        """Return the name by which the processes of the server's container are known; None without a container."""
        return self.id if self._installation.container else None

    def _in_words(self) -> str:
        container = self._installation.container
        return f"tritonserver in a container of {container.image}" if container else "tritonserver"

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        stop_process(self.pid, timeout_s=30)
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
