"""The true class of a photograph, from where it lies or what it is called."""

import re
from pathlib import Path

import numpy as np

UNKNOWN = -1


def class_of_each(images: list[Path], folder: Path, names: list[str]) -> np.ndarray:
    """Return the class index of each image below `folder`, or -1 where nothing tells it, as int64 of shape (N,).

    In order: a folder named by an index or a class name; one folder for each class, in sorted order (torchvision's
    ImageFolder, ImageNet's layout of wnid folders); a file name that starts with an index ("258_samoyed.jpg"), which in
    a class's own folder is often but a count.
    """
    lowered = [name.lower() for name in names]
    by_name = {name: index for index, name in enumerate(lowered) if lowered.count(name) == 1}
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    in_order = {name: index for index, name in enumerate(folders)} if len(folders) == len(names) else {}
    found = [_class_of(image.relative_to(folder), by_name, in_order, len(names)) for image in images]
    return np.asarray(found, dtype=np.int64)


def _class_of(image: Path, by_name: dict[str, int], in_order: dict[str, int], count: int) -> int:
    parent = image.parts[0] if len(image.parts) > 1 else ""
    if parent.isdecimal() and int(parent) < count:
        return int(parent)
    found = by_name.get(parent.lower(), in_order.get(parent, UNKNOWN))
    numbered = re.match(r"(\d+)_", image.name)
    if found == UNKNOWN and numbered and int(numbered[1]) < count:
        return int(numbered[1])
    return found
