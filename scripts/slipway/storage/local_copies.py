"""Files of storage, fetched once into results/.fetched. After that, jobs read the fetched copies on this machine.

A fingerprint is text that changes with the content of a file: the storage's checksum (or time of writing) and the size.
Planning asks the storage for the fingerprint, by one request, and downloads nothing. A job fetches the file if there is
no copy with the planned fingerprint. Each address has one folder with the copy and a record. The
folder is replaced as a whole, so half a download is never used. The folder of an ONNX file also has its external data.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.core.artifacts import atomic_write, sha256, write_json
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.os_errors import of_system
from slipway.core.records import read_record
from slipway.storage.addresses import file_name, without_query

FOLDER = Path("results/.fetched")
# The key of an address in config.yaml, for messages.
KEY = "weights"
_RECORD = "fetched.json"
# `files`: {name of a file: {its fingerprint in the storage, its SHA-256}}. The first file is the file of the address.
_SHAPE = {"address": str, "fingerprint": str, "time": str, "files": {str: {"fingerprint": str, "sha256": str}}}
# The names of checksums in the answers of storage, the best first. Without a checksum, size and time of writing count.
_CHECKSUMS = ("md5Hash", "Content-MD5", "ETag", "etag", "checksum", "sha256", "blob_id", "crc32c", "generation")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "modified", "modify", "updated", "created")
_PATIENCE_S = 30


class Unreachable(SlipwayError):
    """The error if the storage does not answer, so that it is not known whether the file exists."""


@dataclass(frozen=True)
class Planned:
    """The fingerprint of a file in storage: text that changes with the file's content, such as "ETag 5d41, 90 bytes".

    If the storage did not answer, it is the fingerprint of the fetched copy. Then `notice` is a sentence that says so.
    """

    fingerprint: str
    notice: str | None = None


def planned(address: str, folder: Path = FOLDER) -> Planned:
    """Return the fingerprint of a file in storage, while planning: if it changes, jobs that read the file run again.

    If the storage cannot be reached, the fingerprint of the copy in `folder` is returned. Raises SlipwayError if the
    file does not exist, if permission is denied, or if the storage cannot be reached and there is no copy.
    """
    record = _record(address, folder)
    try:
        return Planned(_fingerprint_now(address, record))
    except Unreachable as error:
        if record is None:
            raise SlipwayError(f"{error}; no copy of it was fetched before") from None
        notice = f"{error}; the copy that was fetched at {record['time']} is used, whatever is there now"
        return Planned(record["fingerprint"], notice)


def fetched(address: str, fingerprint: str, folder: Path = FOLDER) -> Path:
    """Return the path of a local copy of a file in storage, with the planned `fingerprint` (see `planned`).

    Without such a copy in `folder`, the file is fetched first. If two jobs need the same file at once, one job fetches
    it and the other job waits. Raises SlipwayError if the file in storage was changed since planning, or if it cannot
    be fetched as a whole.
    """
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    copy = _copy(address, folder)
    with filelock.FileLock(copy.with_suffix(".lock")):
        if not _is_intact(copy, _record(address, folder), fingerprint):
            with atomic_write(copy) as partial:
                _fetch(address, fingerprint, partial)
    return copy / file_name(address)


def _fingerprint_now(address: str, record: dict | None) -> str:
    """Ask the storage for the present fingerprint of a file, without a download.

    `record` is the record of the fetched copy, fetched.json, or None. From it, the names of an ONNX file's external
    data are known. If only the external data changed, their fingerprints are appended to that of the ONNX file.
    """
    own = _fingerprint(_Remote(address))
    if record is None:
        return own
    first, *others = record["files"].items()
    if not others or first[1]["fingerprint"] != own:
        return own
    beside = {name: _fingerprint(_Remote(_sibling(address, name))) for name, _ in others}
    if beside == {name: known["fingerprint"] for name, known in others}:
        return record["fingerprint"]
    return "; ".join([own, *(f"{name}: {other}" for name, other in beside.items())])


class _Remote:
    """A file in storage, at `address`. `info` is the dict of fsspec's `info`, with "size", "ETag" and so on.

    Raises SlipwayError if the file does not exist, is a folder, or cannot be read.
    """

    def __init__(self, address: str) -> None:
        from slipway.storage import access  # most configurations need no storage

        self.address, self._access = address, access
        self._system, self._path = access.opened(address, KEY)
        patience = {"timeout": _PATIENCE_S} if self._system.async_impl else {}
        try:
            self.info: dict[str, Any] = self._system.info(self._path, **patience)
        except Exception as error:  # each storage has different exceptions
            raise self._failure("be read", error) from None
        if self.info.get("type") == "directory":
            raise SlipwayError(f"{address} is a folder; name a file in it as `{KEY}` in config.yaml")

    @property
    def size(self) -> int | None:
        """Return the size of the file in bytes; None if the storage does not state the size."""
        return self.info.get("size")

    def get(self, target: Path) -> None:
        """Download the file to `target`. Raise SlipwayError unless all bytes arrived."""
        free = shutil.disk_usage(target.parent).free
        if self.size is not None and self.size > free:
            raise SlipwayError(
                f"{self.address} takes {self.size / 1e6:.0f} MB, but the disk of {target.parent.parent} has "
                f"{free / 1e6:.0f} MB left; free some space and run again"
            )
        progress(f"  fetching {self.address}" + (f" ({self.size / 1e6:,.1f} MB)" if self.size is not None else ""))
        try:
            self._system.get_file(self._path, str(target))
        except Exception as error:
            if own := of_system(error):
                raise own from None  # this machine's own failure, such as a full disk
            raise self._failure("be fetched", error) from None
        arrived = target.stat().st_size
        if self.size is not None and arrived != self.size:
            raise SlipwayError(
                f"{self.address} arrived with {arrived} of {self.size} bytes; run again to fetch it anew"
            )

    def _failure(self, doing: str, error: Exception) -> SlipwayError:
        sentence = f"{self.address} could not {doing}: {self._access.reason(error, KEY)}"
        is_away = self._access.cause_of(error) is self._access.Cause.UNREACHABLE
        return Unreachable(sentence) if is_away else SlipwayError(sentence)


def _fingerprint(remote: _Remote) -> str:
    """Return the fingerprint of a file in storage: text with its checksum and size, such as "ETag 5d41, 90 bytes".

    If the storage states no checksum, the text has the size and the time of writing.

    Raises SlipwayError if the storage states neither a checksum nor a time.
    """
    size = f"{remote.size} bytes" if remote.size is not None else "unknown size"
    for names, word in ((_CHECKSUMS, "{name} {value}, {size}"), (_TIMES, "{size} of {value}")):
        for name in names:
            if value := remote.info.get(name):
                return word.format(name=name, value=str(value).strip('"'), size=size)
    raise SlipwayError(
        f"{remote.address}: its server gives neither ETag nor Last-Modified, so a new file of that name would go "
        f"unnoticed; download it and set `{KEY}` in config.yaml to its path"
    )


def _fetch(address: str, fingerprint: str, folder: Path) -> None:
    """Fetch a file with its external data (of ONNX) into the new folder `folder`, and write fetched.json, its record.

    Raises SlipwayError if the file in storage does not have the planned `fingerprint` any more.
    """
    folder.mkdir()
    files: dict[str, dict[str, str]] = {}
    for name in _names(address, folder):
        remote = _Remote(address if not files else _sibling(address, name))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        remote.get(target)
        files[name] = {"fingerprint": _fingerprint(remote), "sha256": sha256(target)}
    record = {"address": address, "fingerprint": fingerprint, "time": time.strftime("%Y-%m-%d %H:%M"), "files": files}
    own = files[file_name(address)]["fingerprint"]
    # Read the fingerprint again, since the file may have been replaced during the download.
    now = _fingerprint_now(address, record)
    if not f"{fingerprint}; ".startswith(f"{own}; ") or now != fingerprint:
        raise SlipwayError(
            f"{address} changed since this job was planned ({fingerprint} -> {now}); run snakemake again"
        )
    write_json(folder / _RECORD, record)


def _names(address: str, folder: Path) -> Iterator[str]:
    """Yield a file's name, and then the names of its external data if it is an ONNX file.

    The caller must fetch the ONNX file into `folder` before it asks for the second name.
    """
    name = file_name(address)
    yield name
    if name.endswith(".onnx"):
        yield from _external_data(folder / name)


def _external_data(path: Path) -> list[str]:
    """Return the paths of an ONNX file's external data, relative to its folder.

    Raises SlipwayError if a path leaves this folder. Return [] if the file cannot be read as ONNX.
    """
    import onnx

    from slipway.onnx.graph_walk import names_of_data

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # a later step reads the file and has a better error message
        return []
    names = sorted(names_of_data(model))
    for name in names:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or name == _RECORD:
            raise SlipwayError(
                f"{path.name} names {name!r} as its external data, which is outside of its folder; save it again with "
                "all files in one folder"
            )
    return names


def _sibling(address: str, name: str) -> str:
    return f"{without_query(address).rpartition('/')[0]}/{name}"


def _copy(address: str, folder: Path) -> Path:
    """Return the path, below `folder`, of the folder for the copy of a file. `address` is the file's address."""
    return folder / hashlib.sha256(address.encode()).hexdigest()[:16]


def _record(address: str, folder: Path) -> dict | None:
    record = read_record(_copy(address, folder) / _RECORD, _SHAPE)
    return record if record and record["address"] == address and record["files"] else None


def _is_intact(copy: Path, record: dict | None, fingerprint: str) -> bool:
    """Say whether the copy in the folder `copy` can be used: it has the planned fingerprint, and no file was changed.

    `record` is the content of its fetched.json; None if there is no copy.
    """
    if record is None or record["fingerprint"] != fingerprint:
        return False
    return all(
        (copy / name).is_file() and sha256(copy / name) == known["sha256"] for name, known in record["files"].items()
    )
