"""Storage for published files: a folder or an object store, through fsspec, with errors as SlipwayError.

fsspec's packages find their credentials in the environment. In a folder, a file appears completely or not at all: it is
written under a temporary name and renamed. Object stores work in this way anyway.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from slipway.core.errors import SlipwayError
from slipway.storage.access import opened, reason

# The setting in config.yaml with the address.
KEY = "deploy.publish.to"


class Storage:
    """Files in a folder or an object store. `address` is its path or address, such as s3://bucket/models.

    The names of files are relative to it. A method that fails raises SlipwayError.
    """

    def __init__(self, address: str) -> None:
        self.address = address if address.endswith("://") else address.rstrip("/") or "/"
        system, root = opened(address, KEY)
        self._files = DirFileSystem(root or "/", system, skip_instance_cache=True)
        self._folder = Path(root) if isinstance(system, LocalFileSystem) else None

    def below(self, path: str) -> str:
        """Return the address of the relative path `path` in this storage."""
        return f"{self.address}{'' if self.address.endswith('/') else '/'}{path}"

    def require_folder(self) -> None:
        """Raise SlipwayError if the address is a folder that does not exist. Object stores are not checked."""
        if self._folder and not self._folder.is_dir():
            raise SlipwayError(
                f"{self.address} does not exist: is the claim mounted there? Mount it, or correct `deploy.publish.to` "
                "in config.yaml"
            )

    def entries(self) -> dict[str, bool]:
        """Return {name: whether it is a folder} of the direct entries of this storage."""
        with self._in_words("list it"), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            return {Path(entry["name"]).name: entry["type"] == "directory" for entry in self._files.ls("", detail=True)}
        return {}

    def files(self, folder: str) -> set[str]:
        """Return the names of all files below a folder; an empty set if the folder does not exist."""
        with self._in_words(f"list {folder}"):
            self._files.invalidate_cache()
            return {path.strip("/") for path in self._files.find(folder)}

    def sha256(self, name: str) -> str | None:
        """Read a file, and return the SHA-256 of its content; None if the file does not exist."""
        with self._in_words(f"read {name}"), suppress(FileNotFoundError), self._files.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return None

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None if the file does not exist."""
        with self._in_words(f"read {name}"), suppress(FileNotFoundError):
            return self._files.cat_file(name)
        return None

    def get(self, name: str, target: Path) -> None:
        """Copy the file `name` of this storage to the path `target` on this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._in_words(f"read {name}"):
            self._files.get_file(name, str(target))

    def put(self, source: Path, name: str) -> None:
        """Copy the file `source` on this machine to the name `name` in this storage."""
        self._store(name, lambda place: self._files.put_file(str(source), place))

    def write(self, name: str, content: bytes) -> None:
        """Write `content` into a small file."""
        self._store(name, lambda place: self._files.pipe_file(place, content))

    def _store(self, name: str, send: Callable[[str], Any]) -> None:
        """Write the file `name`: call send(path), which writes the content to the path.

        In an object store, the path is `name`. In a folder, it is a temporary path, which is then renamed.
        """
        with self._in_words(f"write {name}"):
            if self._folder:
                _write_whole(self._folder, name, send)
            else:
                send(name)

    def remove(self, name: str) -> None:
        """Remove a file. If it does not exist, do nothing."""
        with self._in_words(f"remove {name}"), suppress(FileNotFoundError):
            self._files.rm_file(name)

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all its files. If it does not exist, do nothing."""
        with self._in_words(f"remove {name}"), suppress(FileNotFoundError):
            self._files.rm(name, recursive=True)

    def clear_up(self, name: str) -> None:
        """Remove the temporary files that interrupted writes of the file or folder `name` left.

        In an object store, do nothing, since its writes leave no such files.
        """
        for partial in self._folder.glob(f".partial.{name}*") if self._folder else ():
            partial.unlink(missing_ok=True)

    @contextmanager
    def _in_words(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise SlipwayError(f"{self.address}: could not {doing}: {reason(error, KEY)}") from error


# Another process that publishes the same version calls `clear_up`, which may remove this temporary file.
@retry(retry=retry_if_exception_type(FileNotFoundError), stop=stop_after_attempt(20), reraise=True)
def _write_whole(folder: Path, name: str, send: Callable[[str], Any]) -> None:
    """Write the file `name` into a folder, completely or not at all, and readable for every user.

    send(temporary name) writes the content. Then the file is flushed to the disk and renamed to `name`.
    """
    path = folder / name
    _make_folder(path.parent)
    partial = folder / f".partial.{name.split('/')[0]}.{uuid.uuid4().hex}"
    try:
        send(partial.name)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        _open_to_all(partial, 0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, readable for every user."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _open_to_all(folder, 0o755)


def _open_to_all(path: Path, mode: int) -> None:
    """Set the permissions `mode`, so that the server's user can read a file or folder.

    An OSError is ignored, because mounted object stores and shares may have no permissions.
    """
    with suppress(OSError):
        path.chmod(mode)
