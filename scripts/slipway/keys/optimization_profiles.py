"""Optimization profiles: the batch sizes that a TensorRT engine takes."""

from collections.abc import Iterable

ENDS = ("min", "opt", "max")


def sizes_of(profile: dict) -> dict[str, int]:
    """Return the batch sizes of a profile of the configuration, without the precisions that have it."""
    return {end: profile[end] for end in ENDS}


def of_precision(listed: Iterable[dict], precision: str) -> list[dict]:
    """Return the profiles of a precision's engines: those for every precision and those for its own."""
    return [sizes_of(profile) for profile in listed if precision in profile.get("precisions", [precision])]


def untaken(profiles: list[dict], batches: Iterable[int]) -> list[int]:
    """Return the batch sizes that none of an engine's profiles takes; an engine without profiles takes any."""
    return [
        batch for batch in batches if profiles and not any(sizes["min"] <= batch <= sizes["max"] for sizes in profiles)
    ]


def in_words(profiles: list[dict]) -> str:
    """Return the batch sizes of profiles as a sentence has them."""
    return " and ".join(f"{sizes['min']} to {sizes['max']}" for sizes in profiles)
