"""Compare the parts of a PyTorch file with their checksums, which PyTorch writes but does not check."""

import zipfile
from pathlib import Path

from slipway.core.errors import explained_by

_CHUNK = 1 << 20


def require_intact(path: Path) -> None:
    """Raise SlipwayError if a part of the zip archive at `path` does not match its checksum.

    Files of other kinds are not checked. Parts without a checksum (torch.serialization.set_crc32_options(False)) are
    not checked either.
    """
    if not zipfile.is_zipfile(path):
        return
    with (
        explained_by(lambda error: f"{path} is truncated or damaged ({error}); copy it again"),
        zipfile.ZipFile(path) as archive,
    ):
        for part in archive.infolist():
            if part.CRC:
                _read(archive, part)


def _read(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Read a part to its end, where zipfile compares the checksum, and raises BadZipFile for a wrong one."""
    with archive.open(part) as file:
        while file.read(_CHUNK):
            pass
