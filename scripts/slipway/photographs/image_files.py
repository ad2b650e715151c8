"""Which photographs a folder holds, and one hash of them all; the Snakefile asks while it is parsed."""

import os
from collections.abc import Iterator
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.planning.fingerprints import Fingerprints

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


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
    if next(_images_below(folder), None) is None:
        raise SlipwayError(f"image folder {folder} holds no image ({', '.join(sorted(SUFFIXES))})")


def digest_of_images(folder: str | Path, limit: int | None = None, fingerprints: Fingerprints | None = None) -> str:
    """Return one SHA-256 of the names below `folder` and the contents of the images that find_images takes."""
    return (fingerprints or Fingerprints()).of_many(find_images(folder, limit), folder)


def _images_below(folder: str | Path) -> Iterator[Path]:
    """Yield the images below a folder, also behind links to folders, each folder once though links lead in a circle."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders.sort()  # which of two names of a folder comes first is the same everywhere
        for path in (Path(place, name) for name in files):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path
