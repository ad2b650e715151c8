"""Label files: the name of each class in the order of the model's outputs, from text or JSON."""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.core.errors import SlipwayError

_WORDNET_ID = re.compile(r"(n\d{8})\s+(\S.*)")
# "0 cat", "0,cat", "0. cat"; "cat 0", "cat,0".
_NUMBERED = (
    re.compile(r"(?P<number>\d+)\s*[\s,:;.)|=-]\s*(?P<text>\S.*)"),
    re.compile(r"(?P<text>\S.*?)\s*[\s,:;|=]\s*(?P<number>\d+)"),
)


@dataclass(frozen=True)
class Labels:
    """The names of the classes, and `ids`: another name for each class in the file, such as WordNet's n01440764."""

    names: list[str]
    ids: list[list[str]]

    @classmethod
    def of_names(cls, names: list[str]) -> "Labels":
        """Return labels without `ids`."""
        return cls(names, [[] for _ in names])


def read_labels(path: str | Path) -> Labels:
    """Return the labels of a file, each name in one line without spaces around it.

    Text has one name a line, with a WordNet ID before each or not ("n01440764 tench, Tinca tinca"). JSON has a list of
    names, {name: index} as torchvision's `class_to_idx`, {index: name}, or {index: [ID, name]} as Keras has it for
    ImageNet. Raises SlipwayError if the file is neither, has a class without a name, or can be read in two ways.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SlipwayError(f"{path} is not UTF-8 text ({error}); save it as that") from None
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        return _of_document(_document(text, path), path)
    return _of_lines(text, path)


def served_labels(served: Path, given: Path | None) -> tuple[Labels, str]:
    """Return the labels that a model is served with, and their source: "file", "torchvision" or "none".

    `served` has one name a line. `given` is the user's label file, which may have `ids` too, or None.
    """
    if given:
        return read_labels(given), "file"
    names = served.read_text(encoding="utf-8").splitlines()
    is_made_up = names == [f"class {index}" for index in range(len(names))]
    return Labels.of_names(names), "none" if is_made_up else "torchvision"


def _of_lines(text: str, path: Path) -> Labels:
    # Not splitlines(), which also ends a line at characters that a name may hold, such as U+2028.
    lines = [_one_line(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise SlipwayError(f"{path} has no class names; write one a line")
    if "" in lines:
        raise SlipwayError(f"{path} has no name in line {lines.index('') + 1}; write one a line, for each class")
    if numbered := _numbered(lines):
        first, numbers, texts = numbered
        _require_in_order(first, numbers, lines, path)
        # A number from 1 on is a name of its class, since no index says the same.
        return Labels(
            lines, [[text, str(number)] if first else [text] for number, text in zip(numbers, texts, strict=True)]
        )
    identified = [_WORDNET_ID.fullmatch(line) for line in lines]
    if all(identified):
        return Labels([match[2] for match in identified], [[match[1]] for match in identified])
    return Labels.of_names(lines)


def _numbered(lines: list[str]) -> tuple[int, list[int], list[str]] | None:
    """Return the first number, the numbers and the texts of lines that are numbered from 0 or 1 on, in any order."""
    for pattern in _NUMBERED:
        found = [pattern.fullmatch(line) for line in lines]
        if not all(found):
            continue
        numbers, texts = [int(match["number"]) for match in found], [match["text"] for match in found]
        first = min(numbers)
        # Names such as "class 0", "class 1", "class 10" differ by their numbers alone, which are parts of them.
        is_name = len(lines) > 1 and len(set(texts)) == 1
        if first in (0, 1) and not is_name and sorted(numbers) == list(range(first, first + len(lines))):
            return first, numbers, texts
    return None


def _require_in_order(first: int, numbers: list[int], lines: list[str], path: Path) -> None:
    """Raise SlipwayError where numbered lines stand in another order than that of their numbers."""
    for line, number in enumerate(numbers):
        if line != number - first:
            raise SlipwayError(
                f"{path} can be read in two ways: {lines[line]!r} is class {line} by its line, class {number - first} "
                "by its number; put the lines into the order of the model's classes, without numbers"
            )


def _document(text: str, path: Path) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict:
        keys = [key for key, _ in pairs]
        if repeated := next((key for key in keys if keys.count(key) > 1), None):
            raise SlipwayError(f"{path} has {repeated!r} twice; leave one out")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        try:  # a mapping as Python prints it
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise SlipwayError(f"{path} is no JSON ({error}); correct it, or write one class name a line") from None


def _of_document(found: object, path: Path) -> Labels:
    """Return the labels of a parsed document, which must have exactly one reading."""
    if isinstance(found, dict) and isinstance(found.get("id2label"), dict):  # a model's config.json of Hugging Face
        found = found["id2label"]
    if isinstance(found, list):
        return _of_entries(dict(enumerate(found)), path)
    if not isinstance(found, dict) or not found:
        raise SlipwayError(f"{path} has no class names; it may have a list, {{name: index}} or {{index: name}}")
    readings = [reading for reading in (_by_index(found), _by_name(found)) if reading is not None]
    if not readings:
        raise SlipwayError(
            f"{path} is neither {{name: index}} nor {{index: name}} for all indices from 0 to {len(found) - 1}; "
            "correct it, or write one class name a line"
        )
    if len(readings) == 2 and readings[0] != readings[1]:
        first = next(index for index in range(len(found)) if readings[0][index] != readings[1][index])
        raise SlipwayError(
            f"{path} can be read in two ways: class {first} is {readings[0][first]!r} as {{index: name}}, "
            f"{readings[1][first]!r} as {{name: index}}; write the names as a list, or one a line"
        )
    return _of_entries(readings[0], path)


def _by_index(found: dict) -> dict[int, object] | None:
    """Return a document {index: entry} with numbers as keys; None if it is something else, such as {name: index}."""
    if any(isinstance(entry, int) for entry in found.values()):
        return None
    return _complete(found, _index_of)


def _by_name(found: dict) -> dict[int, object] | None:
    """Return a document {name: index} as {index: name}; None if it is something else."""
    if not all(_index_of(index) is not None for index in found.values()):
        return None
    turned = {_index_of(index): str(name) for name, index in found.items()}
    return _complete(turned, _index_of) if len(turned) == len(found) else None


def _complete(entries: dict, index_of: Callable) -> dict[int, object] | None:
    by_index = {index_of(key): entry for key, entry in entries.items()}
    return by_index if set(by_index) == set(range(len(entries))) else None


def _index_of(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value) else None


def _of_entries(entries: dict[int, object], path: Path) -> Labels:
    """Return the labels of a document {index: name} or {index: [ID, name]}."""
    names, ids = [], []
    for index in range(len(entries)):
        *others, name = entries[index] if isinstance(entries[index], list | tuple) else [entries[index]]
        if not all(isinstance(text, str) and _one_line(text) for text in (*others, name)):
            raise SlipwayError(f"{path} has no name for class {index}, but {entries[index]!r}; give text")
        names.append(_one_line(name))
        ids.append([_one_line(text) for text in others])
    if not names:
        raise SlipwayError(f"{path} has no class names; write one for each class")
    return Labels(names, ids)


def _one_line(name: str) -> str:
    """Return a name without line breaks, of any kind, and with one space between words."""
    return " ".join(name.split())
