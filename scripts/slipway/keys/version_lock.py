"""The version lock: the TensorRT that builds an engine must be the TensorRT in the Triton release that serves it.

An engine loads only in exactly the TensorRT version that built it, unless it was built version-compatible. Planning
finds a mismatch before any job runs. If only the server found it, a build, a benchmark and a load test would be lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT
from slipway.triton.server import releases
from slipway.triton.server.tensorrt_versions import runs_under


@dataclass(frozen=True)
class RuntimeVersion:
    """The version of the runtime that will load an engine, None if it is unknown, and its source in words."""

    version: str | None
    source: str

    def record(self) -> dict:
        """Return {"runtime": whether the version is known, "runtime_version", "source": in words}.

        A deployment stores this in the receipt, the record that it writes.
        """
        return {"runtime": self.version is not None, "runtime_version": self.version, "source": self.source}


def served_tensorrt(triton: dict) -> RuntimeVersion:
    """Return the TensorRT version in the server that `triton`, that section of config.yaml, chooses.

    The version is looked up in this order: in a named image, since it can differ from NVIDIA's image; in the table of
    releases; in NVIDIA's image of a release that is not in the table.
    """
    release, image = triton["release"], triton["image"]
    if image and (inside := releases.tensorrt_of_image(image)):
        return RuntimeVersion(inside, f"{releases.VARIABLE} of the image {image}")
    if release is None:
        return RuntimeVersion(None, "`triton.release` is not set")
    row = releases.release_with("triton", release)
    if row:
        return RuntimeVersion(row.tensorrt, row.source)
    image = image or releases.IMAGE.format(release=release)
    inside = releases.tensorrt_of_image(image)
    source = f"{releases.VARIABLE} of the image {image}" if inside else f"no image {image} here tells it"
    return RuntimeVersion(inside, source)


def require_lock(target: str, built: str, triton: dict, compatibility: str) -> None:
    """Raise SlipwayError if it is known that a target's engines do not load in the TensorRT that serves them.

    `built` is the TensorRT version that builds the engines, or "absent". `triton` is that section of config.yaml.
    `compatibility` is the setting `tensorrt.compatibility`: "version" lets engines load in later versions.
    """
    served = served_tensorrt(triton)
    if built == ABSENT or served.version is None or runs_under(built, served.version, compatibility):
        return
    server, container = f"the image {triton['image']}", ""
    if triton["release"]:
        server = f"Triton {triton['release']}"
        container = f", or in nvcr.io/nvidia/tensorrt:{triton['release']}-py3"
    # For an incomplete version, `.*` lets pip take any version that begins with it.
    pin = served.version if len(releases.numbers(served.version)) > 3 else f"{served.version}.*"
    others = f"a Triton release that has TensorRT {built}; none that is known here does"
    if names := releases.releases_with(built):
        others = f"a Triton release that has {built}, as `triton.release`: {' or '.join(names)}"
    raise SlipwayError(
        f"config: `targets.{target}` builds with TensorRT {built}, but {server} serves with TensorRT "
        f"{served.version} ({served.source}), which does not load its engines. Either build with "
        f"{served.version}: `pip install tensorrt=={pin}` into the interpreter named as "
        f"`tensorrt.python`{container}; or serve with {others}"
    )


def notices(target: str, built: str, triton: dict) -> Iterator[str]:
    """Yield a sentence if config.yaml names a Triton release whose TensorRT version is unknown.

    `built` is the TensorRT version that builds the engines of `target`, or "absent". `triton` is that section of
    config.yaml.
    """
    if triton["release"] is None or served_tensorrt(triton).version:
        return
    image = triton["image"] or releases.IMAGE.format(release=triton["release"])
    builder = "the TensorRT that builds" if built == ABSENT else f"TensorRT {built}"
    yield (
        f"target {target}: not verified that Triton {triton['release']} serves with {builder}: the table of releases "
        f"does not have it, and no image {image} on this machine tells it; `docker pull` it, or compare the release "
        "notes yourself"
    )
