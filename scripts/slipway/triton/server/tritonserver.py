"""Run a tritonserver, wait until it is ready, and stop it."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from slipway.core.artifacts import make_way_for_file
from slipway.core.errors import SlipwayError
from slipway.deploy.local.server_state import new_id, who_listens
from slipway.triton.client.ports import Ports
from slipway.triton.server.container_programs import ContainerProgram, remove_containers, wait_for_pid
from slipway.triton.server.environment import server_environment
from slipway.triton.server.installation import Installation
from slipway.triton.server.leftovers import end_at_once, region_flag
from slipway.triton.server.ownership import is_ready, require_in_sight, require_own

# Timeout for a server to drain, longer than Triton's default --exit-timeout-secs, which is 30.
DRAIN_S = 35
# Timeout for a container to start its first process.
CONTAINER_START_S = 120


class Server:
    """A tritonserver that runs in the background. The context manager starts it, and stops it in any case.

    It serves the model repositories in `repositories` at `ports`, and writes its output to the file `log`. `flags` are
    further flags of tritonserver. `server_id` is the id in its command line, by which it is recognised; with None, it
    gets a new id.
    """

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
        """Start the server in a new session, so that it outlives this program; return the started process.

        The server may not be ready yet (see `wait_until_ready`). Afterwards the attribute `pid` is the process id of
        the server. With a container, the returned process is the container client, which only writes the log.
        """
        make_way_for_file(self.log)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._installation.folder,
                env={**os.environ, **server_environment(self.id)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        container = self._installation.container
        self.pid = self._pid_in(container.program) if container else self.process.pid
        return self.process

    def _pid_in(self, program: ContainerProgram) -> int:
        """Wait until the container runs, and return the process id of the server in it.

        `program` is Docker or Podman. Raises SlipwayError if the server does not start or does not run on this machine;
        then the container is removed.
        """
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
        """Wait until the server and its models are ready; return the waiting time in seconds.

        Raises SlipwayError with the end of the log if the server ends, or is not ready after `timeout_s` seconds.
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
        """Raise SlipwayError unless this server runs, and the server that answers at its ports is this one."""
        self._require_running()
        require_own(self.pid, self.id, self.ports)

    def end_at_once(self) -> None:
        """End this server, which answers no requests, without unloading its models. In a container, do nothing."""
        if not self._installation.container:
            end_at_once(self.pid, self.id)

    def ended(self, within_s: float = 0) -> str | None:
        """Wait up to `within_s` seconds for the server to end. Return in words how it ended; None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            container = self._installation.container
            place = f" in a container of {container.image}" if container else ""
            return f"tritonserver{place} ended with exit code {self.process.wait(within_s)}"
        return None

    def _require_running(self) -> None:
        """Raise SlipwayError if the server has ended, with the end of its log and the program that uses its port."""
        if ended := self.ended():
            others = [f"port {port} is taken by {who_listens(port)}; " for port in self.ports.taken()]
            raise SlipwayError(f"{ended}: {''.join(others[:1])}its log says\n{log_end(self.log)}")

    @property
    def container_owner(self) -> str | None:
        """Return the server's id if it runs in a container, else None.

        Processes in a container are no children of this process, so they are found by this id in their environment.
        """
        return self.id if self._installation.container else None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        stop_process(self.pid, timeout_s=30)
        self.process.wait()


def log_end(path: Path, lines: int = 15) -> str:
    """Return the part of a server's log for an error message: the reasons why models failed to load.

    If there are no such reasons, return the last `lines` lines.
    """
    log = path.read_text(encoding="utf-8", errors="replace").splitlines()
    failures = [line.partition("] ")[2].strip('"') for line in log if re.match("E.*failed to load '.*version", line)]
    if reasons := [failure.partition(r"\n\nAt:")[0].replace(r"\n", "\n") for failure in failures]:
        return "\n".join([*dict.fromkeys(reasons), f"The whole log is {path}"])
    return "\n".join(log[-lines:])


def stop_process(pid: int, timeout_s: float) -> None:
    """Let a server finish its requests and end (SIGTERM). After `timeout_s` seconds, kill it and its children."""
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
