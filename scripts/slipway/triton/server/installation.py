"""Find the tritonserver of this machine: its program, its flags, and its working folder.

There are three kinds: a program on PATH, a container of NVIDIA's image, or the nvidia-pytriton wheel, which has only
the Python backend. Planning chooses the kind (`server_choice.py`).
"""

import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu
from slipway.core.serving_environment import MAKE_IT, serving_python, wheel
from slipway.triton.client.ports import Ports
from slipway.triton.server.container import Container
from slipway.triton.server.container_programs import fetched_image, note_program, usable_program
from slipway.triton.server.on_path import native_backends
from slipway.triton.server.plain_paths import joined, listed, make_link, seen_from
from slipway.triton.server.restricted_apis import FIRST_RELEASE, can_guard, local_flags
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
# The flag with which Triton's TensorRT backend loads version-compatible engines.
LOAD_COMPATIBLE = "--backend-config=tensorrt,version-compatible=true"
# Metrics in addition to the counters: latency quantiles of the last 60 seconds, each with its allowed error. Triton has
# no histogram of these latencies: 2.51 has none at all, and later releases have one of the first response of decoupled
# models. At 3000 requests/s the quantiles cost less than the noise of measurements.
METRICS_FLAGS = (
    "--metrics-config=summary_latencies=true",
    "--metrics-config=summary_quantiles=0.5:0.01,0.9:0.01,0.99:0.001",
)


@dataclass(frozen=True)
class Installation:
    """A tritonserver that can be started: its program, its flags, and its working folder.

    With `native_backends`, models run in Triton's own backends, such as that for TensorRT; otherwise in the Python
    backend. `run` is "path", "wheel" or "container". For "container", `container` is set, and the program is Docker or
    Podman. `stated_release` is the Triton release of a server without a container.
    """

    program: str
    native_backends: bool
    folder: Path
    flags: tuple[str, ...] = ()
    run: str = PATH
    container: Container | None = None
    stated_release: str | None = None

    def command(self, repositories: list[Path], ports: Ports, *flags: str, name: str = "") -> list[str]:
        """Return the command line of a server of these model repositories at `ports`. It must run in `folder`.

        `flags` are further flags of tritonserver. `name` is the name for the container, if the server runs in one.
        """
        configuration = [] if self.native_backends else [f"--model-config-name={PYTHON_CONFIGURATION}"]
        own = [*self.flags, *configuration, "--disable-auto-complete-config"]
        if self.container:
            return self.container.server_command(name, repositories, ports, [*own, *METRICS_FLAGS, *flags])
        repository_flags = [f"--model-repository={seen_from(self.folder, path)}" for path in repositories]
        return [self.program, *own, *repository_flags, *ports.flags(), *METRICS_FLAGS, *flags]

    def for_engines(self, keys: Iterable[dict], shares_memory: bool = False) -> "Installation":
        """Return this installation with the flags and devices that certain engines need.

        `keys` are the build keys of the engines: the entry "key" of each build record. Triton's TensorRT backend needs
        a flag for version-compatible engines. A container needs an option for GPUs and, if the server `shares_memory`
        with its clients, an option for this.
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
        return self.container.release if self.container else self.stated_release

    @property
    def can_guard(self) -> bool:
        """Say whether the server can restrict APIs, such as loading models, to clients that send a key.

        An image whose release is unknown counts as a new release, which can.
        """
        if self.container:
            return self.release is None or self.release >= FIRST_RELEASE
        return can_guard(self.program)

    def guards(self, key: str, host: str, shared_memory: bool = False) -> list[str]:
        """Return the flags that restrict APIs of the server, such as loading models, to clients that send `key`.

        `host` is the address at which the server listens. Without `shared_memory`, the API for shared memory is closed
        to all. If this Triton cannot restrict its APIs, return [].
        """
        return local_flags(key, host, shared_memory) if self.can_guard else []

    def facts(self) -> dict:
        """Return a description of the server for records of load tests and deployments.

        The keys are "run" ("path", "wheel" or "container"), "program" (its name), "native_backends" (bool) and
        "release" (text or None); for a container, also "image" (its name) and "image_id".
        """
        stated = {"run": self.run, "program": Path(self.program).name, "native_backends": self.native_backends}
        image = {"image": self.container.image, "image_id": self.container.found.id} if self.container else {}
        return {**stated, "release": self.release, **image}


def find_installation(
    workspace: Path, choice: ServerChoice, backends: Collection[str] = (), python: Path | None = None
) -> Installation:
    """Return the tritonserver that planning chose (`choice`), ready to be started in the folder `workspace`.

    `backends` are the names of Triton's backends for the models. If a server on PATH has all of them, it uses them.
    Otherwise it uses the Python backend, as the server of the nvidia-pytriton wheel does. For the wheel's server, the
    backend runs with the interpreter `python` (None: that of the serving environment), and `workspace` gets the files
    that it needs. Raises SlipwayError if the server is missing.
    """
    folder = workspace.resolve()
    if choice.run == CONTAINER:
        return _in_container(folder, choice)
    if choice.run == PATH and (on_path := shutil.which("tritonserver")):
        is_native = set(backends) <= native_backends(on_path)
        return Installation(on_path, is_native, folder, stated_release=choice.release_here)
    if choice.run == WHEEL and (package := wheel()):
        program = package / "tritonserver" / "bin" / "tritonserver"
        lay_out_backends(package, folder, python or serving_python())
        flags = (f"--backend-directory={BACKENDS}",)
        return Installation(str(program), False, folder, flags, run=WHEEL, stated_release=choice.release_here)
    raise SlipwayError(f"no tritonserver was found: put one on PATH, or install the wheel that carries one ({MAKE_IT})")


def _in_container(folder: Path, choice: ServerChoice) -> Installation:
    """Return the server in the container image that planning chose (`choice`). A missing image is pulled first.

    `folder` is the working folder of the server. Raises SlipwayError if no container can run here or the image cannot
    be pulled.
    """
    program, why = usable_program()
    if program is None or choice.image is None:
        reason = why or "no image is named"
        raise SlipwayError(f"no container can run here: {reason}; set `triton.run` to auto or wheel")
    fetched = fetched_image(program, choice.image)
    if other := why_other_release(choice.image, fetched.environment, choice.release):
        raise SlipwayError(f"{other}; correct one of them")
    note_program(program, folder)
    release = fetched.environment.get(RELEASE_VARIABLE) or choice.release
    container = Container(program, choice.image, fetched, release)
    return Installation(program.name, native_backends=True, folder=folder, run=CONTAINER, container=container)


def perf_analyzer_environment(workspace: Path) -> dict[str, str]:
    """Return {environment variable: value} with which perf_analyzer, Triton's load generator, finds its libraries.

    The folder `workspace` gets links to them. The program in tritonclient 2.51.0 needs libraries with the
    names libb64.so.0d and libcudart.so.12. The nvidia-pytriton wheel has both libraries under names with a hash.
    Without this wheel, return {}.
    """
    if (package := wheel()) is None:
        return {}
    libraries = package.parent / "nvidia_pytriton.libs"
    folder = workspace / "lib"
    for wanted, pattern in {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}.items():
        if matching := sorted(libraries.glob(pattern)):
            make_link(folder / wanted, matching[0])
    return {"LD_LIBRARY_PATH": joined(listed(workspace, folder), os.environ.get("LD_LIBRARY_PATH"))}
