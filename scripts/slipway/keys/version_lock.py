"""The version lock: the TensorRT that builds must be the one that serves, which the Triton release decides.

An engine loads under the very TensorRT that built it and no other, unless it was built version-compatible. Found out by
the server, that costs a build, a benchmark and a load test first; found out here, it costs nothing.
"""

from dataclasses import dataclass

from slipway.core.errors import SlipwayError
from slipway.core.packages import ABSENT
from slipway.triton.server import releases

# The first TensorRT that builds version-compatible engines, and the first that loads them.
FIRST_COMPATIBLE = (8, 6)


@dataclass(frozen=True)
class Served:
    """The TensorRT that will serve, None where nobody knows it, and in words who says so."""

    tensorrt: str | None
    source: str


def served_tensorrt(triton: dict) -> Served:
    """Return what is known of the TensorRT that serves, from the `triton` settings.

    An image that was named is asked first, since it need not be NVIDIA's own of the release; then the table; then
    NVIDIA's image of a release that the table does not have.
    """
    release, image = triton["release"], triton["image"]
    if image and (inside := releases.tensorrt_of_image(image)):
        return Served(inside, f"{releases.VARIABLE} of the image {image}")
    if release is None:
        return Served(None, "`triton.release` is not set")
    row = releases.release(release)
    if row:
        return Served(row.tensorrt, row.source)
    image = image or releases.IMAGE.format(release=release)
    inside = releases.tensorrt_of_image(image)
    return Served(inside, f"{releases.VARIABLE} of the image {image}" if inside else f"no image {image} here tells it")


def runs_under(built: str, serving: str, compatibility: str) -> bool:
    """Say whether an engine that TensorRT `built` made runs under TensorRT `serving`.

    `compatibility` is the setting it was built with: a version-compatible engine runs under later TensorRT too.
    """
    if releases.same_tensorrt(built, serving):
        return True
    older = FIRST_COMPATIBLE <= releases.numbers(built) <= releases.numbers(serving)
    return compatibility == "version" and older


def require_lock(target: str, built: str, triton: dict, compatibility: str) -> None:
    """Raise SlipwayError when the TensorRT that builds a target's engines is known not to be the one that serves."""
    served = served_tensorrt(triton)
    if built == ABSENT or served.tensorrt is None or runs_under(built, served.tensorrt, compatibility):
        return
    raise SlipwayError(
        f"config: `targets.{target}` builds with TensorRT {built}, but {_server(triton)} serves with TensorRT "
        f"{served.tensorrt} ({served.source}), which does not load its engines. Either build with "
        f"{served.tensorrt}: `pip install tensorrt=={_pin(served.tensorrt)}` into the interpreter named as "
        f"`tensorrt.python`{_container(triton)}; or serve with {_releases_with(built)}"
    )


def notice(target: str, built: str, triton: dict) -> str | None:
    """Return a sentence where a release was named but the TensorRT inside it is not known, else None."""
    served = served_tensorrt(triton)
    if triton["release"] is None or served.tensorrt:
        return None
    image = triton["image"] or releases.IMAGE.format(release=triton["release"])
    builder = "the TensorRT that builds" if built == ABSENT else f"TensorRT {built}"
    return (
        f"target {target}: not verified that Triton {triton['release']} serves with {builder}: the table of releases "
        f"does not have it, and no image {image} on this machine tells it; `docker pull` it, or compare the release "
        "notes yourself"
    )


def record(built: str, triton: dict, compatibility: str) -> dict:
    """Return what is known: {"triton_release", "tensorrt_of_release", "verified", "source"}."""
    served = served_tensorrt(triton)
    comparable = served.tensorrt is not None and built != ABSENT
    return {
        "triton_release": triton["release"],
        "tensorrt_of_release": served.tensorrt,
        "verified": comparable and runs_under(built, served.tensorrt, compatibility),
        "source": served.source,
    }


def _server(triton: dict) -> str:
    return f"Triton {triton['release']}" if triton["release"] else f"the image {triton['image']}"


def _pin(version: str) -> str:
    """Return a version as pip takes it; one that ends early stands for every one that continues it."""
    return version if len(releases.numbers(version)) > 3 else f"{version}.*"


def _container(triton: dict) -> str:
    return f", or in nvcr.io/nvidia/tensorrt:{triton['release']}-py3" if triton["release"] else ""


def _releases_with(tensorrt: str) -> str:
    """Return what to do to serve with this TensorRT."""
    found = releases.releases_with(tensorrt)
    if not found:
        return f"a Triton release that has TensorRT {tensorrt}; none that is known here does"
    return f"a Triton release that has {tensorrt}, as `triton.release`: {' or '.join(found)}"
