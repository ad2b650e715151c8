"""Versions of TensorRT: whether two are the same, and whether one runs an engine that another built.

Nothing here knows the releases of Triton.
"""

import re

from slipway.core.errors import SlipwayError

# The environment variable of NVIDIA's images with their TensorRT version.
VARIABLE = "TRT_VERSION"
# The first TensorRT version that builds and loads version-compatible engines.
FIRST_COMPATIBLE = (8, 6)


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version: (10, 13, 3, 9) for "10.13.3.9-1+cuda13.0"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def same_tensorrt(a: str, b: str) -> bool:
    """Say whether two versions are the same TensorRT, in as many numbers as both have: "8.6.3" equals "8.6.3.1"."""
    pairs = list(zip(numbers(a), numbers(b), strict=False))
    return bool(pairs) and all(one == other for one, other in pairs)


def runs_under(built: str, serving: str, compatibility: str) -> bool:
    """Return whether an engine built by TensorRT `built` runs under TensorRT `serving`.

    If `compatibility` is "version", the engine also runs under later versions.
    """
    if same_tensorrt(built, serving):
        return True
    older = FIRST_COMPATIBLE <= numbers(built) <= numbers(serving)
    return compatibility == "version" and older


def require_inside(name: str, key: dict, image: str, environment: dict[str, str]) -> None:
    """Raise SlipwayError if an image has another TensorRT version than the builder of the engine with this key."""
    inside = environment.get(VARIABLE, "")
    if key["runtime"] != "tensorrt" or not numbers(inside):
        return
    built = key["runtime_version"]
    if not runs_under(built, inside, key.get("builder", {}).get("compatibility", "none")):
        raise SlipwayError(
            f"{name} was built by TensorRT {built}, but the image {image} has {inside}: serve with a release that "
            f"has {built} (`triton.release`), or build with {inside}"
        )
