"""The last check before a switch: this machine and the serving runtime match the engine's build key.

The build key records the hardware and the runtime (such as TensorRT, with its version) of the build. Between the build
and the deployment a driver, a package or the machine may have changed. So both are compared with the key once more. A
version that cannot be found out is recorded as unknown, not guessed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.hardware import require_hardware
from slipway.core.package_versions import ABSENT
from slipway.core.packages import runtime_version
from slipway.core.serving_environment import is_separate, serving_python, serving_version
from slipway.keys.version_lock import RuntimeVersion, runs_under
from slipway.runtimes import RUNTIMES
from slipway.triton.server import releases
from slipway.triton.server.installation import Installation
from slipway.triton.server.server_options import RELEASE_VARIABLE


@dataclass(frozen=True)
class Host:
    """The process that runs engines: a server's own backends, or its Python backend with the interpreter `python`.

    If `python` is None, it is this interpreter. `environment` is the server's environment. In NVIDIA's container, the
    environment states the installed versions.
    """

    native_backends: bool
    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def host_of(tritonserver: Installation, python: Path | None) -> Host:
    """Return the process that runs engines in a server. `python` is the interpreter of its Python backend.

    If the server runs in a container, its own backends run the engines, with the environment of the container's image.
    """
    if tritonserver.container:
        return Host(native_backends=True, environment=tritonserver.container.found.environment)
    return Host(tritonserver.native_backends, python)


def require_fit(name: str, key: dict, host: Host, server_version: str | None = None) -> dict:
    """Raise SlipwayError if this machine or the serving runtime cannot run an engine, with the versions and the remedy.

    `name` is the model's name, `key` the engine's build key, and `server_version` the version that the running server
    states (None before its start). Return the facts for the receipt: {"hardware": True, "runtime": False if the
    runtime's version is unknown, "runtime_version", "source": where this version was found}.
    """
    require_hardware(key["hardware"])
    serving = find_runtime(key["runtime"], host, server_version)
    require_runtime(name, key, host, serving)
    return {"hardware": True, **serving.record()}


def find_runtime(runtime: str, host: Host, server_version: str | None = None) -> RuntimeVersion:
    """Return the version of the runtime that will run an engine on this host, with its source in words.

    `runtime` is a name such as "tensorrt". The version is None if it is unknown. `server_version` is the version that
    the running server states; with it, the table of Triton releases gives the version of TensorRT.
    """
    if not host.native_backends:
        if is_separate() and host.python == serving_python():
            version = serving_version(RUNTIMES[runtime].serving_package)
        else:
            version = runtime_version(runtime, str(host.python) if host.python else None)
        return RuntimeVersion(version, f"the packages of {_interpreter(host)}")
    if runtime == "tensorrt":
        return _tensorrt_of_server(host.environment, server_version)
    return RuntimeVersion(None, f"the server's {runtime} backend does not tell its version")


def require_runtime(name: str, key: dict, host: Host, serving: RuntimeVersion) -> None:
    """Raise SlipwayError if the runtime version `serving` cannot run the engine with the build key `key`.

    `name` is the model's name, for the message. An unknown version is accepted.
    """
    if serving.version is None or _runs(key, serving.version):
        return
    built = f"{name} was built by {key['runtime']} {key['runtime_version']}"
    problem = f"but {serving.version} would run it, according to {serving.source}"
    if serving.version == ABSENT:
        problem = f"which {_interpreter(host)} does not have"
    raise SlipwayError(f"{built}, {problem}; {_way_out(key, host)}")


def _tensorrt_of_server(environment: Mapping[str, str], server_version: str | None) -> RuntimeVersion:
    """Return the TensorRT version of a Triton server, from its environment, or else from the table of Triton releases.

    In NVIDIA's container, the environment states it. The table gives it for the release that the environment names, or
    for `server_version`, the version that the server states.
    """
    inside = environment.get(releases.VARIABLE, "")
    if releases.numbers(inside):
        return RuntimeVersion(inside, f"{releases.VARIABLE} in the server's container")
    named = environment.get(RELEASE_VARIABLE, "")
    if release := releases.release_with("triton", named) or releases.release_with("server", server_version):
        return RuntimeVersion(release.tensorrt, f"the table of releases, for Triton {release.triton}")
    server = f"Triton {server_version}" if server_version else "a Triton whose version is not known yet"
    return RuntimeVersion(None, f"neither the server's environment nor the table of releases, for {server}")


def _runs(key: dict, version: str) -> bool:
    """Say whether `version` of the runtime can run the engine with the build key `key`.

    TensorRT may run an engine of another version, if the engine was built for this.
    """
    if key["runtime"] == "tensorrt":
        return runs_under(key["runtime_version"], version, key.get("builder", {}).get("compatibility", "none"))
    return version == key["runtime_version"]


def _way_out(key: dict, host: Host) -> str:
    """Return text with the remedy for a runtime that does not match the engine with the build key `key`."""
    wanted = key["runtime_version"]
    if host.native_backends:
        listed = " or ".join(releases.releases_with(wanted)) or "none is known here"
        return f"serve with a Triton release that has {wanted} ({listed}), or build with the one that serves"
    again = "run snakemake again, which builds with what is there"
    declared = "(correct `tensorrt.version` in config.yaml where it is declared)"
    return f"install {wanted} there, or {again} {declared}" if RUNTIMES[key["runtime"]].is_tensorrt else again


def _interpreter(host: Host) -> str:
    return str(host.python) if host.python else "this interpreter"
