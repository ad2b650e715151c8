"""Triton releases and their TensorRT versions, from the table beside this file or from an image on this machine.

This module imports no framework, because the Snakefile imports it.
"""

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import serving_version
from slipway.triton.server.container_programs import PROGRAMS, ContainerProgram, image_here
from slipway.triton.server.tensorrt_versions import VARIABLE, numbers, same_tensorrt

TABLE = Path(__file__).with_name("releases.yaml")
# The name of NVIDIA's image of a release.
IMAGE = "nvcr.io/nvidia/tritonserver:{release}-py3"
# The release in the tag of NVIDIA's image, also in a copy of it in another registry.
_TAG = re.compile(r"(?:^|/)tritonserver:(\d\d\.\d\d)(?![\d.])")
# Releases before this one have known vulnerabilities.
FLOOR = "26.07"


@dataclass(frozen=True)
class TritonRelease:
    """A Triton release and the versions in it. A version is None if nobody published it.

    `triton` is the name of the release, such as "25.09". `server` is the version that a running server reports.
    `source` names in words where the versions of TensorRT and CUDA come from. `digest` ("sha256:...") is the digest of
    the release's image, None if unknown. `wheel` is the version of the package nvidia-pytriton with this server, None
    if no package has it.
    """

    triton: str
    tensorrt: str
    cuda: str | None
    server: str | None
    source: str
    digest: str | None = None
    wheel: str | None = None


def image_of(name: str) -> str:
    """Return the name of NVIDIA's image of the release `name`, such as "25.09".

    The result is "nvcr.io/nvidia/tritonserver:25.09-py3@sha256:...". Without a known digest, it ends before "@".
    """
    known = release_with("triton", name)
    image = IMAGE.format(release=name)
    return f"{image}@{known.digest}" if known and known.digest else image


def newest() -> str:
    """Return the name of the newest Triton release in the table, such as "25.09"."""
    return releases()[-1].triton


def release_of_image(image: str | None) -> str | None:
    """Return the Triton release in the tag of NVIDIA's image or of a copy of it, such as "25.09"; None without one."""
    tag = _TAG.search(image or "")
    return tag[1] if tag else None


def require_one_release(triton: dict) -> None:
    """Raise SlipwayError if the tag of `triton.image` names another release than `triton.release`.

    `triton` is the section `triton` of config.yaml. Without a release in the tag or in the section, nothing is checked.
    """
    release, tag = triton["release"], release_of_image(triton["image"])
    if release and tag and tag != release:
        raise SlipwayError(
            f"config: the image {triton['image']} has Triton {tag}, and `triton.release` is {release}; correct "
            "`triton.image` or `triton.release`"
        )


def require_supported(name: str | None, image: str | None, oldest: str) -> None:
    """Raise SlipwayError if neither a release nor an image is given, or if the release is older than `oldest`.

    `name` is `triton.release`, `image` is `triton.image`, and `oldest` is `triton.oldest` of config.yaml. If `name` is
    None, the release in the tag of NVIDIA's image counts. The release of another image is unknown, and is accepted.
    """
    if name is None and image is None:
        raise SlipwayError(
            "config: nothing says which Triton serves, and a TensorRT engine loads only under the TensorRT that built "
            f'it; set `triton.release`, such as "{newest()}"'
        )
    key = "triton.release" if name else "triton.image"
    if (name := name or release_of_image(image)) is not None and name < oldest:
        raise SlipwayError(
            f"config: Triton {name} (`{key}`) is older than {oldest} and has known vulnerabilities; serve "
            f'with a newer release, or accept them knowingly with `triton.oldest: "{name}"`. Nothing was written'
        )


def release_with(field: str, value: str | None) -> TritonRelease | None:
    """Return the release of the table whose field "triton", "server" or "wheel" is `value`; None if there is none."""
    return next((release for release in releases() if value and getattr(release, field) == value), None)


def release_of_wheel() -> str | None:
    """Return the name of the Triton release in the installed wheel; None without a wheel or if the table lacks it."""
    known = release_with("wheel", serving_version("nvidia-pytriton"))
    return known.triton if known else None


def vulnerability(release: str) -> str | None:
    """Return a phrase about the known vulnerabilities of a release, such as "25.04"; None if it has none.

    The phrase says since when they are known. If the table lacks this date, it names the release that fixed them.
    """
    if release >= FLOOR:
        return None
    advisory = next((entry for entry in _table_at(TABLE)["advisories"] if release < entry["fixed"]), None)
    return f"known since {advisory['known_since']} ({advisory['names']})" if advisory else f"mended by {FLOOR}"


def cautions(server_version: str | None) -> list[str]:
    """Return a list with one line about the known vulnerabilities of a server; [] if it has none.

    `server_version` is the version that the server reports, such as "2.51.0". If the table lacks it, the line is about
    the next older version in the table. Without a version (None), return [].
    """
    version = numbers(server_version or "")
    older = [release for release in releases() if release.server and numbers(release.server) <= version]
    if not older or not (since := vulnerability(older[-1].triton)):
        return []
    name = older[-1].triton if older[-1].server == server_version else f"server {server_version}"
    return [f"VULNERABLE Triton {name}, {since}"]


def releases_with(tensorrt: str) -> list[str]:
    """Return the names of the releases in the table with this TensorRT version, oldest release first."""
    return [release.triton for release in releases() if same_tensorrt(release.tensorrt, tensorrt)]


@cache
def releases() -> tuple[TritonRelease, ...]:
    """Return all Triton releases in releases.yaml, oldest first."""
    table = _table_at(TABLE)
    return tuple(TritonRelease(**row | {"source": table["sources"][row["source"]]}) for row in table["releases"])


@cache
def _table_at(path: Path) -> dict:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # planning reads it


def tensorrt_of_image(image: str) -> str | None:
    """Return the TensorRT version in an image that docker or podman has on this machine. Nothing is pulled.

    Return None if neither program has the image, or if the image does not state a version.
    """
    for name in filter(shutil.which, PROGRAMS):
        local_image = image_here(ContainerProgram(name, is_podman=False), image)
        if local_image and (version := numbers(local_image.environment.get(VARIABLE, ""))):
            return ".".join(map(str, version))
    return None
