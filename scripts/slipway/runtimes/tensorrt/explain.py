"""Explain TensorRT's errors in a sentence with a remedy."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

# This module only explains errors, so its code is in no key: see `keys/code_hash.py`.
PART_OF_KEYS = False

NO_GPU = "CUDA finds no usable GPU here ({}); run this job where the target's GPU and its driver are"
_NO_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|failed to allocate|cudaErrorMemoryAllocation", re.I)
_REQUESTED = re.compile(r"(?:requested|allocate|size)[^0-9]{0,40}(\d{6,})", re.I)
_UNREADABLE = re.compile(r"failed to parse the onnx model|ParseFromCodedStream", re.I)
_NO_TACTIC = re.compile(r"could not find any implementation|no implementation", re.I)


def no_start(trt: ModuleType, log: Any) -> str:
    """Explain why TensorRT does not start, in a sentence with the remedy: no GPU, or a driver too old for its CUDA.

    The reason is the last message of the logger `log`. TensorRT may report it only as a warning.
    """
    words = [*log.warnings, *log.errors]
    detail = f" ({words[-1].strip()})" if words else ""
    return (
        f"TensorRT {trt.__version__} cannot start on this machine{detail}: it needs an NVIDIA GPU with free memory, "
        "and a driver that is new enough for its CUDA. Run this job where the target's GPU is; `snakemake preflight` "
        "tries the ONNX files without one"
    )


def parser_errors(trt: ModuleType, onnx: str | Path, errors: list[Any]) -> str:
    """Explain in a sentence why TensorRT cannot parse an ONNX file: node, operator and reason of each error.

    `errors` are those of TensorRT's ONNX parser.
    """
    if not errors or _UNREADABLE.search(errors[0].desc()):
        return (
            f"TensorRT {trt.__version__} cannot read {onnx}: truncated or not ONNX; remove it and run snakemake again"
        )
    return (
        f"TensorRT {trt.__version__} cannot take {onnx}: {'; '.join(_parser_error(error) for error in errors)}. "
        "Change the model so that it does not need the operator, or take a newer TensorRT"
    )


def _parser_error(error: Any) -> str:
    reason = " ".join(error.desc().split()) or str(error.code())
    if error.node() < 0:
        return reason
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    words = [f"node {error.node()}", *([f"'{name}'"] if name else []), *([f"({operator})"] if operator else [])]
    return f"{' '.join(words)}: {reason}"


def build_failure(errors: list[str], options: dict) -> str:
    """Return the reason why the builder made no engine, and the setting to change.

    `errors` are TensorRT's error messages, in order. `options` are those of `builder.build`; the message states their
    present values.
    """
    details = last(errors, 3)
    largest = max(sizes["max"] for sizes in options["profiles"])
    or_axes = "".join(f" or `axes.{name}.max` (now {axis['max']})" for name, axis in options.get("axes", {}).items())
    if any(_NO_MEMORY.search(error) for error in errors):
        return (
            f"the GPU has too little free memory to build{_amount(errors)}; lower `tensorrt.workspace_mb` (now "
            f"{options['workspace_mb']}) or the largest batch of `tensorrt.profiles` (now {largest}){or_axes}, or "
            f"stop other programs that use the GPU: {details}"
        )
    if any(_NO_TACTIC.search(error) for error in errors):
        without_refit = ", or set `tensorrt.refit: false`, which needs other kernels" if options.get("refit") else ""
        return (
            "TensorRT found no kernel for a layer within its limits; raise `tensorrt.workspace_mb` (now "
            f"{options['workspace_mb']}) or allow more `tensorrt.tactic_sources`{without_refit}: {details}"
        )
    return f"TensorRT could not build the engine: {details}"


def load_failure(trt: ModuleType, path: str | Path, errors: list[str]) -> str:
    """Return the reason why TensorRT could not load the engine file `path`, and the remedy.

    `errors` are TensorRT's error messages, in order.
    """
    details = last(errors, 2)
    if any(_NO_MEMORY.search(error) for error in errors):
        return (
            f"the GPU has too little free memory to load {path}{_amount(errors)}; stop other programs that use it: "
            f"{details}"
        )
    return (
        f"TensorRT {trt.__version__} cannot load {path}: truncated, or built by another version or for another GPU; "
        f"remove it and run snakemake again: {details}"
    )


def last(errors: list[str], count: int = 1) -> str:
    """Return the last `count` of TensorRT's error messages in one line."""
    return " | ".join(error.strip() for error in errors[-count:]) or "it gave no reason"


def _amount(errors: list[str]) -> str:
    sizes = [int(match[1]) for error in errors if (match := _REQUESTED.search(error))]
    return f" (it asked for {max(sizes) / 2**20:.0f} MiB)" if sizes else ""
