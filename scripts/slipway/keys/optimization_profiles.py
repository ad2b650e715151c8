"""Optimization profiles: the batch sizes that a TensorRT engine accepts."""

from collections.abc import Iterable

ENDS = ("min", "opt", "max")


def sizes_of(profile: dict) -> dict[str, int]:
    """Return the batch sizes of a profile in the configuration, without its precisions."""
    return {end: profile[end] for end in ENDS}


def of_precision(listed: Iterable[dict], precision: str) -> list[dict]:
    """Return the profiles for the engines of a precision: the general profiles and the profiles of this precision."""
    return [sizes_of(profile) for profile in listed if precision in profile.get("precisions", [precision])]


def unsupported_batches(profiles: list[dict], batches: Iterable[int]) -> list[int]:
    """Return the batch sizes that no profile of an engine accepts. An engine without profiles accepts any."""
    return [
        batch for batch in batches if profiles and not any(sizes["min"] <= batch <= sizes["max"] for sizes in profiles)
    ]


def in_words(profiles: list[dict]) -> str:
    """Return the batch sizes of profiles in words."""
    return " and ".join(f"{sizes['min']} to {sizes['max']}" for sizes in profiles)
