"""Docker and Podman on this machine: which one runs containers here, its images, and the containers of Slipway.

Nothing here imports the client or a runtime, because planning uses this module, too.
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
# Timeouts for a question to the container service, to a registry, and for a download of 10 GB and more. A service that
# hangs must not block planning, and a busy machine must not make an image look absent.
ANSWER_S, REGISTRY_S, PULL_S = 20, 20, 3 * 3600
# The label of Slipway's containers; its value is the server's id, which is the container's name, too.
LABEL = "slipway.server"
# The file in a folder of servers that names the program which ran their containers.
USED = "container-program"


@dataclass(frozen=True)
class ContainerProgram:
    """A program that runs containers on this machine: its name on PATH, and whether it is Podman or Docker."""

    name: str
    is_podman: bool


@dataclass(frozen=True)
class Image:
    """An image on this machine: its id, and the environment that its containers start with."""

    id: str
    environment: dict[str, str]


@cache
def usable_program() -> tuple[ContainerProgram | None, str]:
    """Return (the program that can run a server on this machine, ""), or (None, why there is none, in words).

    A server must be a process of this machine, on its network. So these cannot run one: a service on another machine,
    in a virtual machine (Docker Desktop), or with a separate network (rootless Docker).
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
    """Return why the service cannot run servers on this machine, from the output of `info`; None if it can."""
    if host := info.get("host"):  # Podman, also under Docker's name
        return "its containers run on another machine" if host.get("serviceIsRemote") else None
    if info.get("Name") != platform.node():
        return f"its containers run on {info.get('Name')}, not on this machine ({platform.node()})"
    if any("name=rootless" in option for option in info.get("SecurityOptions") or []):
        return "it is rootless, so its containers do not reach this machine's network; Podman does without root"
    return None


@cache
def image_here(program: ContainerProgram, image: str) -> Image | None:
    """Return an image that is on this machine; None if it is absent, or if the program does not describe it."""
    output = _run([program.name, "image", "inspect", "--format", "{{json .}}", image], ANSWER_S)
    try:
        described = json.loads(output or "")
        variables = (described["Config"] or {}).get("Env") or []
        return Image(described["Id"], dict(variable.partition("=")[::2] for variable in variables))
    except (ValueError, KeyError, TypeError):
        return None


def image_to_run(image: str | None) -> Image | None:
    """Return an image that is on this machine, if a program can run it here; else None."""
    program, _ = usable_program()
    return image_here(program, image) if program and image else None


@cache
def is_pullable(program: ContainerProgram, image: str) -> bool:
    """Say whether the registry of an image gives its description to this user. Nothing is downloaded."""
    return _run([program.name, "manifest", "inspect", image], REGISTRY_S) is not None


def fetched_image(program: ContainerProgram, image: str) -> Image:
    """Return an image, after a download if it is not on this machine; raise SlipwayError if it cannot be had."""
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
    """Return the id of a container's first process, as this machine counts it, once it runs.

    None if the container's client ends first, or at the timeout.
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
    """Write into a folder of servers which program starts their containers: a later run removes leftover containers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / USED).write_text(program.name, encoding="ascii")


def remove_containers(folder: Path, begins: str, but_of: set[str]) -> None:
    """Remove the containers of servers whose ids begin with `begins`, if servers of this folder ran in containers.

    The servers named in `but_of` run, so their containers stay.
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
