"""Docker and Podman on this machine: the program that runs containers here, its images, and Slipway's containers.

Planning uses this module, too. So it imports neither tritonclient nor a runtime.
"""

import contextlib
import json
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError

PROGRAMS = ("docker", "podman")
# Timeouts for a request to the container service, for a request to a registry, and for a download of 10 GB and more.
# A service that hangs must not block planning, and a busy machine must not make an image look absent.
ANSWER_S, REGISTRY_S, PULL_S = 20, 20, 3 * 3600
# The label of Slipway's containers; its value is the server's id, which is the container's name, too.
LABEL = "slipway.server"
# The file in a folder of servers that names the program which ran their containers.
USED = "container-program"


@dataclass(frozen=True)
class ContainerProgram:
    """A program that runs containers on this machine: its name on PATH, and whether it is Podman (else Docker)."""

    name: str
    is_podman: bool


@dataclass(frozen=True)
class Image:
    """An image on this machine: its id, and the environment variables that its containers get."""

    id: str
    environment: dict[str, str]


@cache
def usable_program() -> tuple[ContainerProgram | None, str]:
    """Return (Docker or Podman, whichever can run a server here, "") or (None, the reason in words why neither can).

    The server must be a process of this machine, on the network of this machine. So these services cannot run a server:
    a service on another machine, in a virtual machine (Docker Desktop), or with a separate network (rootless Docker).
    """
    reasons = []
    for name in filter(shutil.which, PROGRAMS):
        info = json.loads(_run([name, "info", "--format", "{{json .}}"], ANSWER_S) or "{}")
        why = _why_unusable(info) if info else "its service does not answer"
        if why is None:
            return ContainerProgram(name, is_podman="host" in info), ""
        reasons.append(f"`{name}` is here, but {why}")
    return None, "; ".join(reasons) or "neither `docker` nor `podman` is on PATH"


def _why_unusable(info: dict) -> str | None:
    """Return in words why a container service cannot run servers on this machine; None if it can.

    `info` is the output of `docker info` or `podman info`.
    """
    if host := info.get("host"):  # Podman, also under Docker's name
        return "its containers run on another machine" if host.get("serviceIsRemote") else None
    if info.get("Name") != platform.node():
        return f"its containers run on {info.get('Name')}, not on this machine ({platform.node()})"
    if any("name=rootless" in option for option in info.get("SecurityOptions") or []):
        return "it is rootless, so its containers do not reach this machine's network; Podman does without root"
    return None


@cache
def image_here(program: ContainerProgram, image: str) -> Image | None:
    """Return the image with this name on this machine; None if it is not here or cannot be inspected."""
    output = _run([program.name, "image", "inspect", "--format", "{{json .}}", image], ANSWER_S)
    try:
        described = json.loads(output or "")
        variables = (described["Config"] or {}).get("Env") or []
        return Image(described["Id"], dict(variable.partition("=")[::2] for variable in variables))
    except (ValueError, KeyError, TypeError):
        return None


def image_to_run(image: str | None) -> Image | None:
    """Return the image with this name on this machine, if Docker or Podman can run it here; otherwise None.

    Without a name (None), return None.
    """
    program, _ = usable_program()
    return image_here(program, image) if program and image else None


@cache
def is_pullable(program: ContainerProgram, image: str) -> bool:
    """Say whether this user can read an image's manifest in its registry. The image is not downloaded."""
    return _run([program.name, "manifest", "inspect", image], REGISTRY_S) is not None


def fetched_image(program: ContainerProgram, image: str) -> Image:
    """Return the image with this name. If it is not on this machine, pull it first.

    Raises SlipwayError if the pull fails.
    """
    if local_image := image_here(program, image):
        return local_image
    progress(f"  {program.name} pulls {image}, which is many GB")
    try:
        done = subprocess.run(
            [program.name, "pull", image], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=PULL_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SlipwayError(f"`{program.name} pull {image}` failed: {error}") from None
    image_here.cache_clear()
    if done.returncode or not (local_image := image_here(program, image)):
        raise SlipwayError(
            f"`{program.name} pull {image}` failed: {done.stderr.strip()[-500:]}; pull it yourself, correct "
            "`triton.image` or `triton.release`, or set `triton.run` to wheel"
        )
    return local_image


def wait_for_pid(program: ContainerProgram, name: str, client: subprocess.Popen, timeout_s: float) -> int | None:
    """Wait until the container `name` runs, and return the id, on this machine, of its first process.

    `client` is the process of Docker or Podman that started the container. Return None if it ends first, or after
    `timeout_s` seconds.
    """
    inspect, end = (
        [program.name, "container", "inspect", "--format", "{{.State.Pid}}", name],
        time.monotonic() + timeout_s,
    )
    while time.monotonic() < end and client.poll() is None:
        if pid := int(_run(inspect, ANSWER_S) or 0):
            return pid
        time.sleep(0.1)
    return None


def note_program(program: ContainerProgram, folder: Path) -> None:
    """Note which program runs the containers of the servers whose working folder is `folder`.

    `remove_containers` needs this note in a later run, to remove containers that killed servers left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / USED).write_text(program.name, encoding="ascii")


def remove_containers(folder: Path, begins: str, but_of: set[str]) -> None:
    """Remove the containers that killed servers left, if the ids of these servers begin with `begins`.

    `but_of` are the ids of servers that still run; their containers stay. `folder` is the folder in which
    `note_program` noted the container program. Without this note, nothing is removed.
    """
    with contextlib.suppress(FileNotFoundError):
        name = (folder / USED).read_text(encoding="ascii")
        names = _run([name, "ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}"], ANSWER_S)
        if names is None:
            progress(f"  WARNING: `{name}` does not answer, so containers of killed servers may be left there")
            return
        for container in names.split():
            if container.startswith(begins) and container not in but_of:
                _run([name, "rm", "--force", container], ANSWER_S)
                progress(f"  removed the container {container}, left by a server that was killed")


def _run(command: list[str], timeout_s: float) -> str | None:
    """Return the output of a command; None if it fails or takes longer than `timeout_s`."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )
        return done.stdout.strip()
    return None
