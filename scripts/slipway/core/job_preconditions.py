"""Check that a job runs as planned: versions of packages, contents of the user's files, unchanged artifacts."""

import argparse
from pathlib import Path

from slipway.classification.image_files import digest_of_images
from slipway.contract.sample_sources import digest_of
from slipway.core.artifacts import data_file, sha256
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import PACKAGES, SERVING, paths_of
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.serving_environment import MAKE_IT, serving_version
from slipway.snakemake_hooks.artifact_stamps import require_unmodified

_CONTENT = "_sha256"
# The option that declares the content of a .npz file of samples, or of a folder of such files.
_SAMPLES = "files_sha256"


def require_planned(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError unless versions and files are the same as when Snakemake planned this job.

    `arguments` are the job's options. For example, --torch-version has the planned version of a package, and
    --checkpoint-sha256 the planned content of the file or folder in --checkpoint. A version or file without such an
    option is not checked. An artifact in the options that has changed since its job made it is an error, too.
    """
    for option, declared in vars(arguments).items():
        if declared is None:
            continue
        if option in PACKAGES:
            _require_version(option, declared)
        elif option.endswith(_CONTENT):
            path = getattr(arguments, option.removesuffix(_CONTENT))
            _require_content(path, declared, getattr(arguments, "max_samples", None), option == _SAMPLES)
    paths = [path for value in vars(arguments).values() for path in paths_of(value)]
    require_unmodified([*paths, *(data_file(path) for path in paths if path.suffix == ".onnx")])


def installed_version(option: str) -> str:
    """Return the installed version of the package that `option`, such as "torch_version", is about.

    The result is "absent" if the package is not installed. PACKAGES has the package of each option.
    """
    return (serving_version if option in SERVING else package_version)(PACKAGES[option])


def _require_version(option: str, declared: str) -> None:
    package, installed = PACKAGES[option], installed_version(option)
    if installed == ABSENT:
        remedy = MAKE_IT if option in SERVING else "pip install -r envs/requirements.txt"
        raise SlipwayError(f"{package} is not installed here; {remedy}")
    if installed != declared:
        raise SlipwayError(
            f"this job was planned for {package} {declared}, but {installed} runs; run snakemake again or, where jobs "
            "run in an image, make it from this checkout"
        )


def _require_content(path: Path, declared: str, max_samples: int | None, of_samples: bool) -> None:
    if not path.exists():
        return  # the program that reads the file has a better message
    of_folder = digest_of_images(path, max_samples) if path.is_dir() and not of_samples else None
    sha256_now = digest_of(path) if of_samples else of_folder or sha256(path)
    if sha256_now != declared:
        raise SlipwayError(
            f"{path} changed since this job was planned (SHA-256 {declared[:8]}.. -> {sha256_now[:8]}..); "
            "run snakemake again"
        )
