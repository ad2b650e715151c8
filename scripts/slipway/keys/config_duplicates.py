"""Find duplicate keys in config.yaml. YAML would silently drop the first of the two."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.keys.config_text import FAST_LOADER


def require_keys_once(path: str | Path) -> None:
    """Raise SlipwayError with both lines if a key occurs twice in a mapping."""
    root = yaml.compose(Path(path).read_bytes(), Loader=FAST_LOADER)
    for key, first, second in _repeated(root, "", set()):
        raise SlipwayError(
            f"config: `{key}` stands in lines {first} and {second} of {path}, and only the latter would count; make "
            "them one"
        )


def _repeated(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Yield (key, line, line) of every key that occurs twice in a mapping at or below `node`.

    `seen` are the ids of visited nodes: an alias is the same node as its anchor.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, path, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{path}{key.value}", key.start_mark.line + 1
        if name in lines:
            yield name, lines[name], line
        lines[name] = line
        yield from _repeated(value, f"{name}.", seen)
