"""Which TensorRT a Triton release has inside: from the table beside this file, or asked of an image on this machine.

Nothing here imports a framework, since the Snakefile asks it while it is parsed.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError

TABLE = Path(__file__).with_name("releases.yaml")
# NVIDIA's image of a release.
IMAGE = "nvcr.io/nvidia/tritonserver:{release}-py3"
# Releases before this one have known vulnerabilities.
FLOOR = "26.07"
# Where NVIDIA's images say which TensorRT they have inside.
VARIABLE = "TRT_VERSION"
CONTAINER_PROGRAMS = ("docker", "podman")
# A container service that hangs must not hold up a Snakefile that is being parsed.
INSPECTION_S = 5


@dataclass(frozen=True)
class TritonRelease:
    """A Triton release: its name ("25.09"), and the versions of what it has inside, None where nobody published them.

    `server` is what a running server states as its own version, `source` says in words where the rest was read, and
    `digest` ("sha256:...") is that of its image, None where nobody here has seen it; `wheel` is the version of the
    package nvidia-pytriton that carries its server, None for none.
    """

    triton: str
    tensorrt: str
    cuda: str | None
    server: str | None
    source: str
    digest: str | None = None
    wheel: str | None = None


def image_of(name: str) -> str:
    """Return NVIDIA's image of a release, pinned by its digest where that is known."""
    found = release(name)
    image = IMAGE.format(release=name)
    return f"{image}@{found.digest}" if found and found.digest else image


def require_supported(name: str | None, image: str | None, oldest: str) -> None:
    """Raise SlipwayError when nothing says which Triton serves, or a release is older than what is accepted."""
    if name is None and image is None:
        newest = releases()[-1].triton
        raise SlipwayError(f'config: nothing says which Triton serves; set `triton.release`, such as "{newest}"')
    if name is not None and name < oldest:
        raise SlipwayError(
            f"config: Triton {name} (`triton.release`) is older than {oldest} and has known vulnerabilities; serve "
            f'with a newer release, or accept them knowingly with `triton.oldest: "{name}"`. Nothing was written'
        )


def release(name: str) -> TritonRelease | None:
    """Return the release of this name, or None when the table does not have it."""
    return next((found for found in releases() if found.triton == name), None)


def release_of_server(version: str | None) -> TritonRelease | None:
    """Return the release whose server states this version, or None when the table does not have it."""
    return next((found for found in releases() if found.server and found.server == version), None)


def release_of_wheel(version: str) -> TritonRelease | None:
    """Return the release whose server this version of nvidia-pytriton carries, or None when the table has none."""
    return next((found for found in releases() if found.wheel == version), None)


def vulnerability(release: str) -> str | None:
    """Return since when a release is known to be vulnerable, in words that follow its name; None where it is not."""
    if release >= FLOOR:
        return None
    known = next((told for told in _table_at(TABLE)["advisories"] if release < told["fixed"]), None)
    return f"known since {known['known_since']} ({known['names']})" if known else f"mended by {FLOOR}"


def cautions(server_version: str | None) -> list[str]:
    """Return the line on the known vulnerabilities of a server that states this version; none where it has none."""
    found = release_of_server(server_version)
    known = vulnerability(found.triton) if found else None
    return [f"VULNERABLE Triton {found.triton}, {known}"] if known else []


def releases_with(tensorrt: str) -> list[str]:
    """Return the names of the releases that have this TensorRT, oldest first."""
    return [found.triton for found in releases() if same_tensorrt(found.tensorrt, tensorrt)]


@cache
def releases() -> tuple[TritonRelease, ...]:
    """Return the whole table, oldest release first."""
    table = _table_at(TABLE)
    return tuple(TritonRelease(**row | {"source": table["sources"][row["source"]]}) for row in table["releases"])


@cache
def _table_at(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def numbers(version: str) -> tuple[int, ...]:
    """Return the dotted numbers that a version starts with: (10, 13, 3, 9) for "10.13.3.9-1+cuda13.0"."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def same_tensorrt(a: str, b: str) -> bool:
    """Say whether two versions are the same TensorRT, as far as both are told: "8.6.3" equals "8.6.3.1"."""
    pairs = list(zip(numbers(a), numbers(b), strict=False))
    return bool(pairs) and all(one == other for one, other in pairs)


@cache
def tensorrt_of_image(image: str) -> str | None:
    """Return the TensorRT inside an image that this machine's docker or podman already has; nothing is pulled.

    None when there is no such program, it does not answer, it does not have the image, or the image does not tell.
    """
    for program in filter(shutil.which, CONTAINER_PROGRAMS):
        for variable in _environment_of_image(program, image):
            name, _, value = variable.partition("=")
            if name == VARIABLE and numbers(value):
                return ".".join(map(str, numbers(value)))
    return None


def _environment_of_image(program: str, image: str) -> list[str]:
    command = [program, "image", "inspect", "--format", "{{json .Config.Env}}", image]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=INSPECTION_S
        )
        return json.loads(done.stdout) or []
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError):
        return []
