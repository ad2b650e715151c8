"""NVIDIA ModelOpt, which changes the precision of ONNX files: its version, and a folder for its temporary files."""

import contextlib
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from slipway.core.errors import SlipwayError

PACKAGE = "nvidia-modelopt"


def modelopt_version() -> str:
    """Return the version of ModelOpt. Raise SlipwayError if it is not installed."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise SlipwayError(
            f"{PACKAGE} is not installed here, and makes every precision but fp32; "
            "pip install -r envs/requirements.txt, or take only fp32 in `targets.*.precisions` of config.yaml"
        ) from None


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for all temporary files of this process. Remove it with its content at the end.

    ModelOpt and ONNX Runtime leave intermediate models beside their input and output and in the system's temporary
    folder, especially when they fail.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="slipway.") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
