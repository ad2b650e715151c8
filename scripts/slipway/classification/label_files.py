"""Read label files: the names of the classes in the order of the model's outputs, from text or JSON."""

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError

_WORDNET_ID = re.compile(r"(n\d{8})\s+(\S.*)")
# Lines such as "0 cat", "0,cat", "0. cat"; then lines such as "cat 0", "cat,0".
_NUMBERED = (
    re.compile(r"(?P<number>\d+)\s*[\s,:;.)|=-]\s*(?P<text>\S.*)"),
    re.compile(r"(?P<text>\S.*?)\s*[\s,:;|=]\s*(?P<number>\d+)"),
)


@dataclass(frozen=True)
class Labels:
    """The names of the classes, in the order of the model's outputs.

    `ids` has a list of further names for each class, such as ["n01440764"] of WordNet; the list may be empty.
    """

    names: list[str]
    ids: list[list[str]]

    @classmethod
    def of_names(cls, names: list[str]) -> "Labels":
        """Return labels with one name for each class, without further names (`ids`)."""
        return cls(names, [[] for _ in names])


def read_labels(path: str | Path) -> Labels:
    """Return the labels in a file. Each name becomes one line without surrounding spaces.

    A text file has one name per line, optionally after a WordNet ID ("n01440764 tench, Tinca tinca"). A JSON file has a
    list of names, {name: index} as torchvision's `class_to_idx`, {index: name}, or {index: [ID, name]} as Keras has for
    ImageNet. Raises SlipwayError if the file has another form, has a class without a name, or is ambiguous.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SlipwayError(f"{path} is not UTF-8 text ({error}); save it as that") from None
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("{", "["):
        return _of_document(_document(text, path), path)
    return _of_lines(text, path)


def served_labels(served: Path, user_file: Path | None) -> tuple[Labels, str]:
    """Return (labels that a model is served with, their source).

    The source is "file" if the names are those of the user's label file `user_file`. Otherwise the names are those in
    the file `served`, which has one name per line. Then the source is "none" if all names are made up ("class 0", ...),
    else "torchvision". `user_file` may be None. Only labels of the user's file can have `ids`.
    """
    if user_file:
        return read_labels(user_file), "file"
    names = served.read_text(encoding="utf-8").splitlines()
    is_made_up = names == [f"class {index}" for index in range(len(names))]
    return Labels.of_names(names), "none" if is_made_up else "torchvision"


def _of_lines(text: str, path: Path) -> Labels:
    # Not splitlines(): it also splits at characters that may be part of a name, such as U+2028.
    lines = [_one_line(line) for line in re.split("\r\n|\r|\n", text.rstrip())]
    if lines == [""]:
        raise SlipwayError(f"{path} has no class names; write one a line")
    if "" in lines:
        raise SlipwayError(f"{path} has no name in line {lines.index('') + 1}; write one a line, for each class")
    if numbered := _numbered(lines):
        first = min(number for number, _ in numbered)
        for line, (number, _) in enumerate(numbered):
            if line != number - first:
                raise SlipwayError(
                    f"{path} can be read in two ways: {lines[line]!r} is class {line} by its line, class "
                    f"{number - first} by its number; put the lines into the order of the model's classes, without "
                    "numbers"
                )
        # Numbers that start at 1 differ from the class indices, so these numbers become further names.
        return Labels(lines, [[text, str(number)] if first else [text] for number, text in numbered])
    identified = list(filter(None, map(_WORDNET_ID.fullmatch, lines)))
    if len(identified) == len(lines):
        return Labels([match[2] for match in identified], [[match[1]] for match in identified])
    return Labels.of_names(lines)


def _numbered(lines: list[str]) -> list[tuple[int, str]]:
    """Return [(number, text)] if all lines are numbered from 0 or from 1, in any order, else []."""
    for pattern in _NUMBERED:
        matches = filter(None, map(pattern.fullmatch, lines))
        numbered = [(int(match["number"]), match["text"]) for match in matches]
        numbers = sorted(number for number, _ in numbered)
        # In names such as "class 0", "class 1", "class 10" the number is part of the name.
        is_name = len(lines) > 1 and len({text for _, text in numbered}) == 1
        if not is_name and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
            return numbered
    return []


def _document(text: str, path: Path) -> Any:
    def once(pairs: list[tuple[str, object]]) -> dict:
        key, count = Counter(key for key, _ in pairs).most_common(1)[0] if pairs else ("", 0)
        if count > 1:
            raise SlipwayError(f"{path} has {key!r} twice; leave one out")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        try:  # a mapping in Python's notation
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise SlipwayError(f"{path} is no JSON ({error}); correct it, or write one class name a line") from None


def _of_document(document: Any, path: Path) -> Labels:
    """Return the labels in the parsed content of a label file. Raise SlipwayError unless exactly one form fits it."""
    if isinstance(document, dict) and isinstance(document.get("id2label"), dict):  # config.json of a Hugging Face model
        document = document["id2label"]
    if not isinstance(document, dict | list) or not document:
        raise SlipwayError(f"{path} has no class names; it may have a list, {{name: index}} or {{index: name}}")
    if isinstance(document, list):
        return _of_entries(dict(enumerate(document)), path)
    by_name: dict[int | None, Any] = {_index_of(index): str(name) for name, index in document.items()}
    entries = {name: entry for name, entry in document.items() if not isinstance(entry, int)}
    by_index: dict[int | None, Any] = {_index_of(index): entry for index, entry in entries.items()}
    readings = [reading for reading in (by_index, by_name) if set(reading) == set(range(len(document)))]
    if not readings:
        raise SlipwayError(
            f"{path} is neither {{name: index}} nor {{index: name}} for all indices from 0 to {len(document) - 1}; "
            "correct it, or write one class name a line"
        )
    if len(readings) == 2 and readings[0] != readings[1]:
        first = next(index for index in range(len(document)) if readings[0][index] != readings[1][index])
        raise SlipwayError(
            f"{path} can be read in two ways: class {first} is {readings[0][first]!r} as {{index: name}}, "
            f"{readings[1][first]!r} as {{name: index}}; write the names as a list, or one a line"
        )
    return _of_entries(readings[0], path)


def _index_of(value: Any) -> int | None:
    return int(value) if not isinstance(value, bool) and re.fullmatch(r"\s*\d+\s*", str(value)) else None


def _of_entries(entries: Mapping[Any, Any], path: Path) -> Labels:
    """Return the labels in a parsed label file of the form {index: name} or {index: [ID, name]}."""
    labels = Labels([], [])
    for index in range(len(entries)):
        texts = entries[index] if isinstance(entries[index], list | tuple) else [entries[index]]
        if not texts or not all(isinstance(text, str) and _one_line(text) for text in texts):
            raise SlipwayError(f"{path} has no name for class {index}, but {entries[index]!r}; give text")
        *others, name = map(_one_line, texts)
        labels.names.append(name)
        labels.ids.append(others)
    return labels


def _one_line(name: str) -> str:
    """Return a name without line breaks and with single spaces between words."""
    return " ".join(name.split())
