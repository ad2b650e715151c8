"""Optimization profiles: the batch sizes, and sizes of other dynamic axes, for which a TensorRT engine is built."""

from collections.abc import Iterable

ENDS = ("min", "opt", "max")


def sizes_of(profile: dict) -> dict[str, int]:
    """Return {"min", "opt", "max"} of `profile`, an optimization profile or a dynamic axis in config.yaml.

    Other entries of `profile`, such as "precisions", are left out.
    """
    return {end: profile[end] for end in ENDS}


def dynamic_axes(onnx_record: dict) -> dict:
    """Return the TensorRT builder's options for dynamic axes besides the batch axis; {} if there are none.

    The options are {"inputs": {input: shape}, "axes": {axis: {"min", "opt", "max"}}}. `onnx_record` is the JSON record
    that the job wrote which made the ONNX file.
    """
    interface = onnx_record["interface"]
    if not interface["axes"]:
        return {}
    return {
        "inputs": {tensor["name"]: tensor["shape"] for tensor in interface["inputs"]},
        "axes": {name: sizes_of(axis) for name, axis in interface["axes"].items()},
    }


def unsupported_batches(profiles: list[dict], batches: Iterable[int]) -> list[int]:
    """Return the batch sizes in `batches` that no profile of an engine accepts; [] if the engine has no profiles.

    `profiles` is [{"min", "opt", "max"}], each a batch size.
    """
    return [
        batch for batch in batches if profiles and not any(sizes["min"] <= batch <= sizes["max"] for sizes in profiles)
    ]


def in_words(profiles: list[dict]) -> str:
    """Return the batch sizes of `profiles`, [{"min", "opt", "max"}], in words, such as "1 to 8 and 16 to 32"."""
    return " and ".join(f"{sizes['min']} to {sizes['max']}" for sizes in profiles)
