"""The photographs in a folder, and one hash of them all. The Snakefile asks for both while it is parsed."""

import os
from collections.abc import Iterator
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jp2", ".avif"}


def find_images(folder: str | Path, limit: int | None = None) -> list[Path]:
    """Return the images below `folder`, sorted; of more than `limit`, that many spread evenly over them."""
    require_images(folder)
    found = sorted(_images_below(folder))
    if limit is None or len(found) <= limit:
        return found
    return [found[index * len(found) // limit] for index in range(limit)]


def require_images(folder: str | Path) -> None:
    """Raise SlipwayError unless there is such a folder, with an image below it."""
    if not Path(folder).is_dir():
        problem = "is a file" if Path(folder).exists() else "does not exist"
        raise SlipwayError(f"image folder {folder} {problem}; correct the path")
    if not holds_image(folder):
        raise SlipwayError(f"image folder {folder} holds no image ({', '.join(sorted(SUFFIXES))})")


def class_folders(folder: str | Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without hidden ones."""
    return sorted(path.name for path in Path(folder).iterdir() if path.is_dir() and not is_hidden(path.name))


def holds_image(folder: str | Path) -> bool:
    """Say whether there is an image below a folder."""
    return next(_images_below(folder), None) is not None


def is_hidden(name: str) -> bool:
    """Say whether a name is hidden, as .ipynb_checkpoints, or left by macOS in an archive, as ._photo.jpg."""
    return name.startswith(".") or name == "__MACOSX"


def digest_of_images(folder: str | Path, limit: int | None = None, fingerprints: FileHashCache | None = None) -> str:
    """Return one SHA-256 of the names below `folder` and the contents of the images that find_images takes."""
    return (fingerprints or FileHashCache()).of_many(find_images(folder, limit), folder)


def _images_below(folder: str | Path) -> Iterator[Path]:
    """Yield the images below a folder, without hidden ones. Links are followed, and each folder is visited once."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        # Sorted: of two names for one folder (links), the same one comes first on every machine.
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for path in (Path(place, name) for name in files):
            if path.suffix.lower() in SUFFIXES and not is_hidden(path.name) and path.is_file():
                yield path
