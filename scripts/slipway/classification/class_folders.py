"""Find the class of each folder of photographs. Planning calls this module, too, to refuse ambiguous folders.

A folder's name is a class name or a class index. Without labels, a folder's position in sorted order is the index, as
in torchvision's ImageFolder. An ambiguous folder is an error: nothing is guessed.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.classification.image_files import class_folders, find_images, holds_image
from slipway.classification.label_files import Labels
from slipway.core.errors import SlipwayError, listed

# The names of the rules for reading a folder, in records and reports.
NAME, SPELLING, SYNONYM = "name", "name in another spelling", "one of its names"
INDEX, ORDER, NUMBER_ORDER, FILE_NAME = "index", "sorted order", "order of the numbers", "file name"
# Names of a data set's splits, which are no classes.
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_FEW = 3
_NUMBER = re.compile("[0-9]+")


@dataclass(frozen=True)
class ClassFolder:
    """A folder of photographs of one class: the folder's name, the class index, and the rule that led to this class.

    `rule` is one of the rules at the top of this module, such as "name" or "index".
    """

    folder: str
    index: int
    rule: str


def read_class_folders(folder: Path, labels: Labels, source: str) -> tuple[list[ClassFolder], list[ClassFolder]]:
    """Return (the folders in `folder` with their classes, the same folders with the classes by a second rule).

    The second list is [] unless a second rule is possible too. For example, folders 0, 1, 10, 2 may stand in the order
    of their numbers or in sorted order. Both lists are [] if no folder is a class. `source` is the source of the
    labels: "file" (the user's label file), "torchvision", or "none" (made-up names). Raises SlipwayError if a folder is
    ambiguous, if the user's labels have no class for a folder, or if only some folders have a class. Hidden folders and
    folders without photographs are skipped.
    """
    names, count = Names(labels), len(labels.names)
    folders = with_images(folder)
    named = {reading.folder: reading for name in folders if (reading := names.read(name, folder))}
    if len(named) == len(folders) and all(reading.rule == NAME for reading in named.values()):
        return list(named.values()), []
    if source == "none" and len(named) < len(folders):
        named = {}  # the labels are only the default names "class 0", "class 1"
    indices = {name: ClassFolder(name, int(name), INDEX) for name in folders if _NUMBER.fullmatch(name)}
    if any(reading.index >= count for reading in indices.values()):  # for example, numbers that start at 1
        indices = {}
    for name in sorted(indices.keys() & named.keys()):
        one, two = named[name].index, indices[name].index
        if one != two:
            raise SlipwayError(
                f"the folder {name} of {folder} can be read in two ways: as the label {labels.names[one]!r} it is "
                f"class {one}, as an index it is class {two} ({labels.names[two]!r}); name every folder exactly as its "
                "label"
            )
    readings = indices | named
    if folders and len(readings) == len(folders):
        ordered = [readings[name] for name in folders]
        return ordered, [] if source == "torchvision" else _in_imagefolders_order(ordered, count)
    if not readings and source != "file":
        return _by_order(folder, count)
    if not readings and len(folders) == 1:
        classes = [names.of_file(image.name) for image in find_images(folder / folders[0])]
        if None not in classes:
            return [], []
    raise SlipwayError(_unmatched([name for name in folders if name not in readings], folder, labels, source))


class Names:
    """Find the class of a folder or file by its name, in the exact spelling of the labels, then in looser spellings."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        names = [[name, *ids] for name, ids in zip(labels.names, labels.ids, strict=True)]
        synonyms = [name.split(",") for name in labels.names]
        spellings = [(NAME, _exact, names), (SPELLING, _loose, names), (SYNONYM, _loose, synonyms)]
        self._by_rule = [(rule, spelled, _classes_by_name(given, spelled)) for rule, spelled, given in spellings]
        self._by_id = _classes_by_name(labels.ids, _exact)

    def read(self, folder: str, parent: Path) -> ClassFolder | None:
        """Return the folder `folder` with the class that has its name; None if no class has this name.

        The strictest spelling that fits any class counts. Raises SlipwayError if this spelling fits two classes.
        `parent` is the path of the parent folder, for the message.
        """
        for rule, spelled, classes in self._by_rule:
            matches = classes.get(spelled(folder), [])
            if len(matches) == 1:
                return ClassFolder(folder, matches[0], rule)
            if matches:
                both = " and ".join(f"class {index} ({self.labels.names[index]!r})" for index in matches[:2])
                raise SlipwayError(
                    f"the folder {folder} of {parent} can be read in two ways: {both} have that name; name it by the "
                    "index of its class, or give the classes different names in the file that `labels` names"
                )
        return None

    def of_file(self, name: str) -> int | None:
        """Return the class index of a file whose name begins with an index or ID and "_"; None for any other name."""
        first, separator, _ = name.partition("_")
        if separator and _NUMBER.fullmatch(first) and int(first) < len(self.labels.names):
            return int(first)
        return next(iter(self._by_id.get(first, [])), None) if separator else None


def _classes_by_name(names: list[list[str]], spelled: Callable[[str], str]) -> dict[str, list[int]]:
    """Return {spelled(name): indices of the classes with this name}. `names` has a list of names for each class."""
    classes: dict[str, list[int]] = {}
    for index, given in enumerate(names):
        for name in filter(None, dict.fromkeys(map(spelled, given))):
            classes.setdefault(name, []).append(index)
    return classes


def _exact(name: str) -> str:
    """Return a name in Unicode's composed form (NFC) with single spaces. File systems allow both Unicode forms."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def _loose(name: str) -> str:
    """Return a name without case, punctuation and leading zeros. So usual spellings of folders match."""
    words = re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
    return str(int(words)) if _NUMBER.fullmatch(words) else words


def _in_imagefolders_order(readings: list[ClassFolder], count: int) -> list[ClassFolder]:
    """Return folders that have numbers as names with the classes that torchvision's ImageFolder would give them.

    ImageFolder takes the names in text order (0, 1, 10, 2, ...). `readings` are the folders with the class that their
    number states, and `count` is the number of classes. Return [] if a name is no number, or if each folder's class in
    text order equals its number.
    """
    order = {name: index for index, name in enumerate(sorted(map(str, range(count))))}
    if not all(reading.rule == INDEX and reading.folder in order for reading in readings):
        return []
    other = [ClassFolder(reading.folder, order[reading.folder], ORDER) for reading in readings]
    return other if any(one.index != two.index for one, two in zip(readings, other, strict=True)) else []


def _by_order(parent: Path, count: int) -> tuple[list[ClassFolder], list[ClassFolder]]:
    """Return (folders with classes in sorted order, folders with classes in the order of their numbers).

    Both lists are empty unless there is one folder for each of `count` classes. The second list is empty unless all
    names are numbers and the two orders differ.
    """
    everything, folders = class_folders(parent), with_images(parent)
    ordered = everything if len(everything) == count else folders
    if len(ordered) != count:
        return [], []
    if splits := [name for name in ordered if name.lower() in _SPLITS]:
        raise SlipwayError(
            f"the folders {', '.join(ordered[:_FEW])} of {parent} are parts of a data set, not classes; set "
            f"`accuracy.labelled` to one of them, such as {parent / splits[-1]}"
        )
    readings = [ClassFolder(name, index, ORDER) for index, name in enumerate(ordered)]
    by_number = sorted(ordered, key=int) if all(map(_NUMBER.fullmatch, ordered)) else ordered
    other = [ClassFolder(name, by_number.index(name), NUMBER_ORDER) for name in ordered]
    return readings, other if by_number != ordered else []


def _unmatched(folders: list[str], parent: Path, labels: Labels, source: str) -> str:
    def has_only_folders(folder: Path) -> bool:
        return bool(class_folders(folder)) and not any(path.is_file() for path in folder.iterdir())

    loose = {_loose(name): name for name in reversed(labels.names)}
    nearest = {name: difflib.get_close_matches(_loose(name), loose, n=1) for name in folders[:_FEW]}
    described = [f"{name} (nearest: {loose[similar[0]]})" if similar else name for name, similar in nearest.items()]
    whose = {"file": "the label file", "torchvision": "torchvision's weights", "none": "the model"}[source]
    advice = (
        f"rename each to a label or to an index from 0 to {len(labels.names) - 1}, or correct `labels` in config.yaml"
    )
    if split := next((name for name in folders if name.lower() in _SPLITS or has_only_folders(parent / name)), None):
        advice = f"where the class folders lie in it, set `accuracy.labelled` to {parent / split}; else {advice}"
    shown = listed(described + folders[_FEW:], _FEW)
    return f"in {parent} the class folder(s) {shown} match no label of {whose}; {advice}"


def with_images(folder: Path) -> list[str]:
    """Return the sorted names of the subfolders that contain an image at any depth."""
    return [name for name in class_folders(folder) if holds_image(folder / name)]
