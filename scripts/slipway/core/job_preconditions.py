"""Check that a job runs as it was planned: versions of packages, contents of the user's files, artifacts."""

import argparse
from importlib import metadata
from pathlib import Path

from slipway.core.artifact_stamps import require_as_made
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.photographs.image_files import digest_of_images

# The options that declare a version to a job, and the package that must have it.
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
# Options that name files to write, or change only how a job works: no part of the result.
_NO_SETTINGS = {"log", "lock", "timing_cache", "try_with", "tensorrt_python", "ready_timeout_s", "keep_versions"}
_CONTENT = "_sha256"


def add_planned(arguments: argparse.ArgumentParser, *names: str) -> None:
    """Add the options that declare a job's plan, such as "torch_version" and "checkpoint_sha256"."""
    for name in names:
        option = name.replace("_", "-")
        what = f"the {PACKAGES[name]}" if name in PACKAGES else f"what --{option.removesuffix('-sha256')} holds"
        arguments.add_argument(f"--{option}", help=f"{what} that the job was planned for")


def require_planned(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError unless versions and contents are those that the options declare; undeclared ones may differ.

    --torch-version declares a package's version, and --checkpoint-sha256 the content of the file or folder of
    --checkpoint. Raises SlipwayError, too, if an artifact that an option names has changed since it was made.
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
    """Return a program's options other than files, for its record: the settings that its job is keyed on."""
    return {
        name: value
        for name, value in sorted(vars(arguments).items())
        if name not in _NO_SETTINGS and value is not None and not _is_path(value)
    }


def _require_version(package: str, declared: str) -> None:
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        raise SlipwayError(f"{package} is not installed here; pip install -r envs/requirements.txt") from None
    if found != declared:
        raise SlipwayError(
            f"this job was planned for {package} {declared}, but {found} runs; run snakemake again or, where jobs run "
            "in an image, make it from this checkout"
        )


def _require_content(path: Path, declared: str, max_images: int | None) -> None:
    if not path.exists():
        return  # the program that reads it has a better message
    found = digest_of_images(path, max_images) if path.is_dir() else sha256(path)
    if found != declared:
        raise SlipwayError(
            f"{path} changed since this job was planned (SHA-256 {declared[:8]}.. -> {found[:8]}..); "
            "run snakemake again"
        )


def _is_path(value: object) -> bool:
    return bool(_paths(value))


def _paths(value: object) -> list[Path]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Path)]
