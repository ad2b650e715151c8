"""The options of a job that declare its plan, such as versions, and the options that its record must name."""

import argparse
from pathlib import Path

# {option that declares a version to a job: package that must have this version}
PACKAGES = {
    "torch_version": "torch",
    "torchvision_version": "torchvision",
    "onnxscript_version": "onnxscript",
    "onnxslim_version": "onnxslim",
    "modelopt_version": "nvidia-modelopt",
    "pytriton_version": "nvidia-pytriton",
    "perf_analyzer_version": "tritonclient",
    "model_analyzer_version": "triton-model-analyzer",
}
# The options whose package is in the serving environment.
SERVING = {"pytriton_version", "perf_analyzer_version"}
# Options without influence on the result, such as files to write and timeouts.
_NO_SETTINGS = {"log", "lock", "timing_cache", "tensorrt_python", "ready_timeout_s", "keep_versions", "server_why"}
_NO_SETTINGS |= {"conversion_files"}


def add_planned(arguments: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str) -> None:
    """Add options with the planned version of a package or content of a file, which `require_planned` checks.

    `names` are such as "torch_version", for --torch-version, and "checkpoint_sha256", for the SHA-256 of the file in
    --checkpoint.
    """
    for name in names:
        option = name.replace("_", "-")
        content = f"the {PACKAGES[name]}" if name in PACKAGES else f"the SHA-256 of --{option.removesuffix('-sha256')}"
        arguments.add_argument(f"--{option}", help=f"{content} that the job was planned for")


def settings_of(arguments: argparse.Namespace) -> dict:
    """Return {option: value} of a job's options that influence its result, for its record.

    Options with paths, options without a value, and options such as timeouts are left out.
    """
    return {
        name: value
        for name, value in sorted(vars(arguments).items())
        if name not in _NO_SETTINGS and value is not None and not paths_of(value)
    }


def about_weights(arguments: argparse.Namespace, weights: dict) -> dict:
    """Return {"origin", "weights_sha256", "key"}, with which a job's record states its weights and settings.

    `weights` is the record of the canonical checkpoint, which has the first two values. "key" is {option: value}, as
    `settings_of` returns it.
    """
    return {"origin": weights["origin"], "weights_sha256": weights["sha256"], "key": settings_of(arguments)}


def paths_of(value: object) -> list[Path]:
    """Return the paths in `value`, which is an option's value or list of values; [] if there are none."""
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, Path)]
