"""Find the photographs in a folder, and compute their common hash, while the Snakefile is parsed."""

import os
from collections.abc import Iterator
from pathlib import Path

from slipway.contract.sample_sources import evenly
from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jp2", ".avif"}


def find_images(folder: str | Path, limit: int | None = None) -> list[Path]:
    """Return the sorted images below `folder`. With `limit`, return at most `limit` images, evenly spread.

    Raises SlipwayError if the folder does not exist, or contains no image at any depth.
    """
    require_images(folder)
    images = sorted(_images_below(folder))
    return images if limit is None else evenly(images, limit)


def require_images(folder: str | Path) -> None:
    """Raise SlipwayError unless the folder exists and has an image at some depth."""
    if not Path(folder).is_dir():
        problem = "is a file" if Path(folder).exists() else "does not exist"
        raise SlipwayError(f"image folder {folder} {problem}; correct the path")
    if not holds_image(folder):
        raise SlipwayError(f"image folder {folder} holds no image ({', '.join(sorted(SUFFIXES))})")


def class_folders(folder: str | Path) -> list[str]:
    """Return the sorted names of all subfolders of a folder that are not hidden."""
    return sorted(path.name for path in Path(folder).iterdir() if path.is_dir() and not is_hidden(path.name))


def holds_image(folder: str | Path) -> bool:
    """Return whether a folder contains an image at any depth."""
    return next(_images_below(folder), None) is not None


def is_hidden(name: str) -> bool:
    """Return whether the name of a file or folder is hidden or of a macOS archive, such as ._a.jpg and __MACOSX."""
    return name.startswith(".") or name == "__MACOSX"


def digest_of_images(folder: str | Path, limit: int | None = None, file_hashes: FileHashCache | None = None) -> str:
    """Return one SHA-256 of the names (relative to `folder`) and contents of all images that `find_images` returns.

    `file_hashes` remembers the hash of each file, so that unchanged files are not read again. With None, all are read.
    """
    return (file_hashes or FileHashCache()).of_many(find_images(folder, limit), folder)


def _images_below(folder: str | Path) -> Iterator[Path]:
    """Yield the images below a folder, without hidden images. Links are followed. Each folder is visited once."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(parent) in visited:
            folders.clear()
            continue
        visited.add(os.path.realpath(parent))
        # Sorted, so that a folder with two names (links) has the same name on every machine.
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for path in (Path(parent, name) for name in files):
            if path.suffix.lower() in SUFFIXES and not is_hidden(path.name) and path.is_file():
                yield path
