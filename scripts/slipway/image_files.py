"""Which photographs a folder holds, and one hash of them all; the Snakefile asks while it is parsed."""

from pathlib import Path

from slipway.errors import SlipwayError
from slipway.fingerprints import Fingerprints

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


def find_images(folder: str | Path, limit: int | None = None) -> list[Path]:
    """Return the images below `folder`, sorted; of more than `limit`, that many spread evenly over them."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SlipwayError(f"image folder {folder} does not exist; correct the path")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise SlipwayError(f"image folder {folder} holds no image ({', '.join(sorted(SUFFIXES))})")
    if limit is None or len(found) <= limit:
        return found
    return [found[index * len(found) // limit] for index in range(limit)]


def digest_of_images(folder: str | Path, limit: int | None = None, fingerprints: Fingerprints | None = None) -> str:
    """Return one SHA-256 of the names below `folder` and the contents of the images that find_images takes."""
    return (fingerprints or Fingerprints()).of_many(find_images(folder, limit), folder)
