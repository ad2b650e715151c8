"""Optimization profiles: the batch sizes, and sizes of other dynamic axes, for which a TensorRT engine is built."""

from collections.abc import Iterable

ENDS = ("min", "opt", "max")


def sizes_of(profile: dict) -> dict[str, int]:
    """Return only "min", "opt" and "max" of `profile`, a profile or dynamic axis in config.yaml."""
    return {end: profile[end] for end in ENDS}


def dynamic_axes(onnx_record: dict) -> dict:
    """Return the builder's options for the dynamic axes of an ONNX record; {} if only the batch axis is dynamic.

    The options are {"inputs": {name: shape}, "axes": {name: {"min", "opt", "max"}}}.
    """
    interface = onnx_record["interface"]
    if not interface["axes"]:
        return {}
    return {
        "inputs": {tensor["name"]: tensor["shape"] for tensor in interface["inputs"]},
        "axes": {name: sizes_of(axis) for name, axis in interface["axes"].items()},
    }


def unsupported_batches(profiles: list[dict], batches: Iterable[int]) -> list[int]:
    """Return the batch sizes in `batches` that no profile of an engine accepts; [] if the engine has no profiles."""
    return [
        batch for batch in batches if profiles and not any(sizes["min"] <= batch <= sizes["max"] for sizes in profiles)
    ]


def in_words(profiles: list[dict]) -> str:
    """Return the batch sizes of profiles in words, such as "1 to 8 and 16 to 32"."""
    return " and ".join(f"{sizes['min']} to {sizes['max']}" for sizes in profiles)
