"""The true class of a photograph, from where it lies or what it is called."""

import re
from pathlib import Path

import numpy as np

UNKNOWN = -1


def class_of_each(images: list[Path], folder: Path, names: list[str]) -> np.ndarray:
    """Return the class index of each image below `folder`, or -1 where nothing tells it, as int64 of shape (N,).

    Folders tell it by their names: an index or the name of a class; where none of them is either, and there is one for
    each class, by their sorted order (torchvision's ImageFolder, ImageNet's layout of wnid folders). Numbers of which
    one is beyond the classes, such as those from 1 on, are no indices. Else a file name that starts with an index does
    ("258_samoyed.jpg"), which in a class's own folder is often but a count.
    """
    folders = _classes_of_folders(sorted(path.name for path in folder.iterdir() if path.is_dir()), names)
    found = [_class_of(image.relative_to(folder), folders, len(names)) for image in images]
    return np.asarray(found, dtype=np.int64)


def _classes_of_folders(folders: list[str], names: list[str]) -> dict[str, int]:
    """Return the class index of each folder that tells one."""
    lowered = [name.lower() for name in names]
    by_name = {name: index for index, name in enumerate(lowered) if lowered.count(name) == 1}
    numbers = {name: int(name) for name in folders if name.isdecimal()}
    indices = numbers if all(number < len(names) for number in numbers.values()) else {}
    told = {name: by_name[name.lower()] for name in folders if name.lower() in by_name} | indices
    if not told and len(folders) == len(names):
        return {name: index for index, name in enumerate(folders)}
    return told


def _class_of(image: Path, folders: dict[str, int], count: int) -> int:
    if len(image.parts) > 1 and image.parts[0] in folders:
        return folders[image.parts[0]]
    numbered = re.match(r"(\d+)_", image.name)
    return int(numbered[1]) if numbered and int(numbered[1]) < count else UNKNOWN
