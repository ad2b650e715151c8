"""Versions of TensorRT: whether two versions are the same, and whether one loads an engine that another built.

This module does not know the releases of Triton.
"""

import re

from slipway.core.errors import SlipwayError

# The environment variable in NVIDIA's images with the TensorRT version.
VARIABLE = "TRT_VERSION"
# The first TensorRT version that builds and loads version-compatible engines.
FIRST_COMPATIBLE = (8, 6)


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version: (10, 13, 3, 9) for "10.13.3.9-1+cuda13.0"."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def same_tensorrt(a: str, b: str) -> bool:
    """Say whether two versions are the same TensorRT: "8.6.3" equals "8.6.3.1".

    Only as many numbers are compared as both versions have.
    """
    pairs = list(zip(numbers(a), numbers(b), strict=False))
    return bool(pairs) and all(one == other for one, other in pairs)


def runs_under(built: str, serving: str, compatibility: str) -> bool:
    """Return whether an engine built by TensorRT version `built` loads in TensorRT version `serving`.

    The version that built an engine always loads it. `compatibility` is the setting `tensorrt.compatibility` of the
    build. If it is "version" and `built` is FIRST_COMPATIBLE or later, all later versions load the engine, too.
    """
    if same_tensorrt(built, serving):
        return True
    older = FIRST_COMPATIBLE <= numbers(built) <= numbers(serving)
    return compatibility == "version" and older


def require_inside(name: str, key: dict, image: str, environment: dict[str, str]) -> None:
    """Raise SlipwayError if the engine of model `name` does not load in the TensorRT version in an image.

    `key` is the engine's build key, the entry "key" of its build record. `environment` is {variable: value} of the
    image. Nothing is checked if the engine is not TensorRT's, or if the environment states no version.
    """
    inside = environment.get(VARIABLE, "")
    if key["runtime"] != "tensorrt" or not numbers(inside):
        return
    built = key["runtime_version"]
    if not runs_under(built, inside, key["builder"]["compatibility"]):
        raise SlipwayError(
            f"{name} was built by TensorRT {built}, but the image {image} has {inside}: serve with a release that "
            f"has {built} (`triton.release`), or build with {inside}"
        )
