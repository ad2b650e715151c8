"""Find the true class of each photograph from its class folder or its file name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipway.classification.class_folders import FILE_NAME, ClassFolder, Names, read_class_folders, with_images
from slipway.classification.label_files import Labels

UNKNOWN = -1


@dataclass(frozen=True)
class Labelling:
    """The true class of each photograph, and the folders that define the classes.

    `classes`: class indices as int64 (N,), -1 if unknown. `alternative` and `alternative_folders`: the classes and
    folders by a second possible rule; all -1 and [] without such a rule. `record`: {"folder", "class", "label", "rule",
    "photographs"} of each folder, and one entry for all classes from file names.
    """

    classes: np.ndarray
    folders: list[ClassFolder]
    alternative: np.ndarray
    alternative_folders: list[ClassFolder]
    record: list[dict]


def label_photographs(images: list[Path], folder: Path, labels: Labels, source: str) -> Labelling:
    """Return the true class of each of the photographs `images`, which are below `folder`, as a Labelling.

    `source` is the source of the class names: "file" (the user's label file), "torchvision" or "none". Raises
    SlipwayError if the class of a folder is ambiguous or missing; see `read_class_folders`.
    """
    names = Names(labels)
    folders, other = read_class_folders(folder, labels, source)
    relative = [image.relative_to(folder) for image in images]
    # Within a class folder, a number in a file name is often only a counter.
    within_folders = bool(folders) or len(with_images(folder)) > 1
    classes = _classes(relative, folders, names, within_folders)
    known = {reading.folder for reading in folders}
    first_parts = [image.parts[0] if len(image.parts) > 1 and image.parts[0] in known else None for image in relative]
    counts = Counter(part for part, index in zip(first_parts, classes, strict=True) if index != UNKNOWN)
    rows: list[tuple] = [(one.folder, one.index, labels.names[one.index], one.rule) for one in folders]
    rows += [(None, None, None, FILE_NAME)] if counts[None] else []
    columns = ("folder", "class", "label", "rule", "photographs")
    record = [dict(zip(columns, (*row, counts[row[0]]), strict=True)) for row in rows]
    return Labelling(classes, folders, _classes(relative, other, names, True), other, record)


def _classes(images: list[Path], folders: list[ClassFolder], names: Names, within_folders: bool) -> np.ndarray:
    """Return the class index of each image as int64 (N,), by its class folder or by its file name; -1 if unknown.

    With `within_folders`, the file name counts only for images that are in no folder.
    """
    indices = {reading.folder: reading.index for reading in folders}

    def class_of(image: Path) -> int:
        if len(image.parts) > 1 and (image.parts[0] in indices or within_folders):
            return indices.get(image.parts[0], UNKNOWN)
        return UNKNOWN if (index := names.of_file(image.name)) is None else index

    return np.asarray([class_of(image) for image in images], dtype=np.int64)
