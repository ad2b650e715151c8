"""A tritonserver in NVIDIA's image: the command line of `docker run` or `podman run`.

The container shares the network of this machine. So the server is a process of this machine that listens on 127.0.0.1,
and the checks of ports, ids and processes are the same as without a container. The container runs with the id of the
user, reads its repositories and certificates, and writes only to its own /tmp.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.triton.client.ports import Ports
from slipway.triton.server.container_programs import LABEL, ContainerProgram, Image
from slipway.triton.server.environment import server_environment

# Size of /dev/shm, as in the manifests: Triton's Python backend and clients in the container use it.
SHM_MIB = 256
# The folders in the container of the model repositories, and of the PEM files.
MODELS, TLS = "/slipway/models", "/slipway/tls"
_PEM_FILES = ("certificate", "key", "client_ca")


@dataclass(frozen=True)
class Container:
    """The options for a server's container: program, image, and the devices and memory that the container shares.

    `image` is the image's name, `found` the image with this name on this machine. `release` is the Triton release in
    the image, None if neither the image nor config.yaml states it. With `on_gpu`, the container gets the GPUs; with
    `shares_memory`, it gets this machine's /dev/shm, through which clients can send inputs.
    """

    program: ContainerProgram
    image: str
    found: Image
    release: str | None
    on_gpu: bool = False
    shares_memory: bool = False

    def command(self, name: str, mounts: Mapping[Path, str], words: Sequence[str]) -> list[str]:
        """Return the command line that runs `words`, a command with arguments, in a new container called `name`.

        The container ends with the command. `mounts` is {folder or file: its path in the container}, read-only. The
        first path in the container is the working folder.
        """
        options = [
            *("--rm", "--pull=never", f"--name={name}", f"--label={LABEL}={name}"),
            *("--network=host", f"--user={os.getuid()}:{os.getgid()}", *self._user_namespace()),
            *("--cap-drop=ALL", "--security-opt=no-new-privileges", "--security-opt=label=disable"),
            *("--read-only", "--tmpfs=/tmp", self._shared_memory(), *_cpus()),
            *(f"--env={variable}={value}" for variable, value in self._environment(name).items()),
            *self._gpus(),
            *(f"--mount={_mount(source, target)}" for source, target in mounts.items()),
            f"--workdir={next(iter(mounts.values()))}",
        ]
        return [self.program.name, "run", *options, self.found.id, *words]

    def server_command(self, name: str, repositories: Sequence[Path], ports: Ports, flags: Sequence[str]) -> list[str]:
        """Return the command line that runs a tritonserver of these model repositories in a container called `name`.

        The server listens at `ports`. `flags` are further flags of tritonserver. Repositories and certificates are
        mounted read-only.
        """
        folders = {path.resolve(): f"{MODELS}/{number}" for number, path in enumerate(repositories)}
        files: dict[Path, str] = {}
        if ports.tls:
            inside = {name: f"{TLS}/{name}" for name in _PEM_FILES if getattr(ports.tls, name)}
            files = {Path(getattr(ports.tls, name)).resolve(): path for name, path in inside.items()}
            ports = replace(ports, tls=replace(ports.tls, **inside))
        words = ["tritonserver", *(f"--model-repository={path}" for path in folders.values()), *ports.flags(), *flags]
        return self.command(name, folders | files, words)

    def _user_namespace(self) -> list[str]:
        """Return the option with which a user has the same id in the container as on this machine; [] if not needed."""
        if not self.program.is_podman:
            return ["--userns=host"]
        return ["--userns=keep-id"] if os.getuid() else []

    def _shared_memory(self) -> str:
        return "--ipc=host" if self.shares_memory else f"--shm-size={SHM_MIB}m"

    def _gpus(self) -> list[str]:
        """Return the option that gives the container all GPUs; [] if the engines run on the CPU.

        The container gets CUDA_VISIBLE_DEVICES, too, which then limits the GPUs.
        """
        if not self.on_gpu:
            return []
        return ["--device=nvidia.com/gpu=all"] if self.program.is_podman else ["--gpus=all"]

    def _environment(self, name: str) -> dict[str, str]:
        """Return {name: value} of the environment variables for a container called `name`.

        If the engines run on the CPU, a variable hides all GPUs, because NVIDIA's image would otherwise use them.
        """
        chosen = {key: os.environ[key] for key in ("CUDA_VISIBLE_DEVICES",) if self.on_gpu and key in os.environ}
        hidden = {} if self.on_gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}
        return {"HOME": "/tmp", **server_environment(name), **hidden, **chosen}


def _mount(source: Path, target: str) -> str:
    """Return the value of --mount for a read-only mount. The value is a line of CSV, so paths may have commas."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"source={source}", f"target={target}", "readonly"])
    return line.getvalue()


def _cpus() -> list[str]:
    """Return the option that limits a container to the CPUs that this process may use; [] if it may use all CPUs."""
    usable = sorted(os.sched_getaffinity(0))
    return [f"--cpuset-cpus={','.join(map(str, usable))}"] if len(usable) < (os.cpu_count() or 1) else []
