"""The last look before a switch: whether this machine, with the runtime that will serve, is what an engine is exact to.

Between the build and the deployment a driver, a package or the machine may have changed. An engine's key says what it
needs, so hardware and runtime are compared with it once more. What cannot be found out is not guessed but written down.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.hardware import require_hardware
from slipway.core.packages import ABSENT, runtime_version
from slipway.keys.version_lock import runs_under
from slipway.runtimes import RUNTIMES
from slipway.triton.server import releases

# What NVIDIA's container calls the release of its server.
RELEASE_VARIABLE = "NVIDIA_TRITON_SERVER_VERSION"


@dataclass(frozen=True)
class Host:
    """What will run the engines: a server's own backends, or its Python backend with an interpreter (None: this one).

    `environment` is that of the server, which inside NVIDIA's container says what is installed there.
    """

    native_backends: bool
    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(frozen=True)
class Found:
    """The version of a runtime that will run an engine, None where nobody tells it, and in words who told."""

    version: str | None
    told_by: str


def require_fit(name: str, key: dict, host: Host, server_version: str | None = None) -> dict:
    """Return what was verified of an engine's key: {"hardware", "runtime", "runtime_version", "told_by"}.

    `name` is the model's, `server_version` what the server states of itself once it runs. `runtime` is False where the
    version that will run the engine, `runtime_version`, could not be found out. Raises SlipwayError with both sides and
    the way out when the hardware or the runtime is another than the engine was built for.
    """
    require_hardware(key["hardware"])
    found = find_runtime(key["runtime"], host, server_version)
    require_runtime(name, key, host, found)
    return {
        "hardware": True,
        "runtime": found.version is not None,
        "runtime_version": found.version,
        "told_by": found.told_by,
    }


def find_runtime(runtime: str, host: Host, server_version: str | None = None) -> Found:
    """Return the version of the runtime that will really run an engine on this host."""
    if not host.native_backends:
        told_by = f"the packages of {_interpreter(host)}"
        return Found(runtime_version(runtime, str(host.python) if host.python else None), told_by)
    if runtime == "tensorrt":
        return _tensorrt_of_server(host.environment, server_version)
    return Found(None, f"the server's {runtime} backend does not tell its version")


def require_runtime(name: str, key: dict, host: Host, found: Found) -> None:
    """Raise SlipwayError when the runtime that was found does not run the engine; one that is not known passes."""
    if found.version is None or _runs(key, found.version):
        return
    built = f"{name} was built by {key['runtime']} {key['runtime_version']}"
    if found.version == ABSENT:
        problem = f"{built}, which {_interpreter(host)} does not have"
    else:
        problem = f"{built}, but {found.version} would run it, according to {found.told_by}"
    raise SlipwayError(f"{problem}; {_way_out(key, host)}")


def _tensorrt_of_server(environment: Mapping[str, str], server_version: str | None) -> Found:
    """Return the TensorRT of NVIDIA's container, or what the table says of the server's release."""
    inside = environment.get(releases.VARIABLE, "")
    if releases.numbers(inside):
        return Found(inside, f"{releases.VARIABLE} in the server's container")
    named = environment.get(RELEASE_VARIABLE, "")
    release = releases.release(named) or releases.release_of_server(server_version)
    if release:
        return Found(release.tensorrt, f"the table of releases, for Triton {release.triton}")
    server = f"Triton {server_version}" if server_version else "a Triton whose version is not known yet"
    return Found(None, f"neither the server's environment nor the table of releases, for {server}")


def _runs(key: dict, version: str) -> bool:
    """Say whether this version of its runtime runs an engine."""
    if key["runtime"] == "tensorrt":
        return runs_under(key["runtime_version"], version, key.get("builder", {}).get("compatibility", "none"))
    return version == key["runtime_version"]


def _way_out(key: dict, host: Host) -> str:
    """Return what to do where the runtime is another than the engine's."""
    wanted = key["runtime_version"]
    if host.native_backends:
        listed = " or ".join(releases.releases_with(wanted)) or "none is known here"
        return f"serve with a Triton release that has {wanted} ({listed}), or build with the one that serves"
    if RUNTIMES[key["runtime"]].is_tensorrt:
        return (
            f"install {wanted} there, or run snakemake again, which builds with what is there (correct "
            "`tensorrt.version` in config.yaml where it is declared)"
        )
    return "run snakemake again, which builds with what is there"


def _interpreter(host: Host) -> str:
    return str(host.python) if host.python else "this interpreter"
