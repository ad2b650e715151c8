"""Check a PyTorch file against the checksums inside it, which PyTorch writes and does not compare when it loads."""

import zipfile
from pathlib import Path

from slipway.core.errors import explained_by

_CHUNK = 1 << 20


def require_intact(path: Path) -> None:
    """Raise SlipwayError if a part of a zip archive has another content than when it was written.

    Files of other kinds, and parts without a checksum (torch.serialization.set_crc32_options(False)), are not checked.
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
    """Read a part to its end, where its checksum is compared."""
    with archive.open(part) as file:
        while file.read(_CHUNK):
            pass
