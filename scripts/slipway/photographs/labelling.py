"""The true class of each photograph, from the class folder in which it lies, or from its file name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.photographs.class_folders import FILE_NAME, ClassFolder, Names, read_class_folders, with_images
from slipway.photographs.label_files import Labels

UNKNOWN = -1


@dataclass(frozen=True)
class Labelling:
    """The class of each photograph, as int64 of shape (N,), -1 if it is unknown; and the folders that tell the classes.

    `alternative`: the classes by a second possible reading of the folders; all -1 if there is none.
    """

    classes: np.ndarray
    folders: list[ClassFolder]
    alternative: np.ndarray
    alternative_folders: list[ClassFolder]
    photographs: Counter  # by folder; the key None counts photographs whose file name has the class

    def record(self, names: list[str]) -> list[dict]:
        """Return {folder, class, label, rule, photographs} of each folder, file names being one entry of no folder."""
        told = [
            {"folder": each.folder, "class": each.index, "label": names[each.index], "rule": each.rule}
            | {"photographs": self.photographs[each.folder]}
            for each in self.folders
        ]
        if self.photographs[None]:
            nothing = dict.fromkeys(("folder", "class", "label"))
            told.append(nothing | {"rule": FILE_NAME, "photographs": self.photographs[None]})
        return told


def label_photographs(images: list[Path], folder: Path, labels: Labels, source: str) -> Labelling:
    """Return the class of each image below `folder`.

    `source` says who named the classes: "file" (the user's label file), "torchvision" or "none". Raises SlipwayError
    as `read_class_folders` does.
    """
    names = Names(labels)
    folders, other = read_class_folders(folder, labels, source)
    relative = [image.relative_to(folder) for image in images]
    # In the folder of a class, a number in a file name is often a count.
    is_class = bool(folders) or len(with_images(folder)) > 1
    indices = {each.folder: each.index for each in folders}
    classes = [_class_of(image, indices, names, is_class) for image in relative]
    places = [image.parts[0] if len(image.parts) > 1 and image.parts[0] in indices else None for image in relative]
    others = {each.folder: each.index for each in other}
    return Labelling(
        classes=np.asarray(classes, dtype=np.int64),
        folders=folders,
        alternative=np.asarray([_class_of(image, others, names, True) for image in relative], dtype=np.int64),
        alternative_folders=other,
        photographs=Counter(place for place, index in zip(places, classes, strict=True) if index != UNKNOWN),
    )


def _class_of(image: Path, indices: dict[str, int], names: Names, is_class: bool) -> int:
    """Return the class of an image: by its folder, or by its file name if no folder is a class."""
    if len(image.parts) > 1:
        if image.parts[0] in indices:
            return indices[image.parts[0]]
        if is_class:
            return UNKNOWN
    index = names.of_file(image.name)
    return UNKNOWN if index is None else index
