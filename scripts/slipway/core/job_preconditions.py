"""Check that a job runs as planned: versions of packages, contents of the user's files, unchanged artifacts."""

import argparse
from importlib import metadata
from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.photographs.image_files import digest_of_images
from slipway.snakemake_hooks.artifact_stamps import require_as_made

# {option that declares a version to a job: package that must have this version}
PACKAGES = {
    "torch_version": "torch",
    "torchvision_version": "torchvision",
    "onnxscript_version": "onnxscript",
    "onnxslim_version": "onnxslim",
    "modelopt_version": "nvidia-modelopt",
    "pytriton_version": "nvidia-pytriton",
    "tritonclient_version": "tritonclient",
    "model_analyzer_version": "triton-model-analyzer",
}
# Options without influence on the result: files to write, and the way in which a job works.
_NO_SETTINGS = {"log", "lock", "timing_cache", "try_with", "tensorrt_python", "ready_timeout_s", "keep_versions"}
_CONTENT = "_sha256"


def add_planned(arguments: argparse.ArgumentParser, *names: str) -> None:
    """Add the options that declare a job's plan. `names` are such as "torch_version" and "checkpoint_sha256"."""
    for name in names:
        option = name.replace("_", "-")
        content = f"the {PACKAGES[name]}" if name in PACKAGES else f"the SHA-256 of --{option.removesuffix('-sha256')}"
        arguments.add_argument(f"--{option}", help=f"{content} that the job was planned for")


def require_planned(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError unless versions and files match the options that declare them.

    --torch-version declares the version of a package. --checkpoint-sha256 declares the content of the file or folder of
    --checkpoint. A version or file without such an option is not checked. Raises SlipwayError, too, if an artifact
    named by an option has changed since its job made it.
    """
    for option, declared in vars(arguments).items():
        if declared is None:
            continue
        if option in PACKAGES:
            _require_version(PACKAGES[option], declared)
        elif option.endswith(_CONTENT):
            path = getattr(arguments, option.removesuffix(_CONTENT))
            _require_content(path, declared, getattr(arguments, "max_images", None))
    require_as_made(path for value in vars(arguments).values() for path in _paths(value))


def settings_of(arguments: argparse.Namespace) -> dict:
    """Return the options of a program except files, for its record: its job is keyed on these settings."""
    return {
        name: value
        for name, value in sorted(vars(arguments).items())
        if name not in _NO_SETTINGS and value is not None and not _is_path(value)
    }


def _require_version(package: str, declared: str) -> None:
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        raise SlipwayError(f"{package} is not installed here; pip install -r envs/requirements.txt") from None
    if installed != declared:
        raise SlipwayError(
            f"this job was planned for {package} {declared}, but {installed} runs; run snakemake again or, where jobs "
            "run in an image, make it from this checkout"
        )


def _require_content(path: Path, declared: str, max_images: int | None) -> None:
    if not path.exists():
        return  # the program that reads it has a better message
    sha256_now = digest_of_images(path, max_images) if path.is_dir() else sha256(path)
    if sha256_now != declared:
        raise SlipwayError(
            f"{path} changed since this job was planned (SHA-256 {declared[:8]}.. -> {sha256_now[:8]}..); "
            "run snakemake again"
        )


def _is_path(value: object) -> bool:
    return bool(_paths(value))


def _paths(value: object) -> list[Path]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, Path)]
