"""NVIDIA ModelOpt, which changes the precision of ONNX files: its version, and a place for what it leaves behind."""

import contextlib
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from slipway.core.errors import SlipwayError

PACKAGE = "nvidia-modelopt"


def modelopt_version() -> str:
    """Return the version of ModelOpt; raise SlipwayError when it is absent."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise SlipwayError(
            f"{PACKAGE} is not installed here, and makes every precision but fp32; "
            "pip install -r envs/requirements.txt, or take only fp32 in `targets.*.precisions` of config.yaml"
        ) from None


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder that takes every temporary file of this process, and is removed with all that is in it.

    ModelOpt and ONNX Runtime leave intermediate models beside their input and output and in the folder for temporary
    files, the more so when they fail.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="slipway.") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
