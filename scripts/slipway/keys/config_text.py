"""Check that a configuration file is readable YAML with unique keys, and explain a problem in one sentence."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError

# libyaml's loader, if PyYAML was built with libyaml.
FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Far above any real configuration. But aliases of aliases make a million nodes in twenty lines.
MOST_BYTES = 1 << 20
MOST_NODES = 20_000


def require_readable(path: str | Path) -> None:
    """Raise SlipwayError unless `path` is UTF-8 text whose YAML is a mapping of moderate size, without recursion."""
    if not Path(path).is_file():
        return  # Snakemake names a missing file itself
    try:
        root = _parsed(path, _text(path))
        if not isinstance(root, yaml.MappingNode):
            raise SlipwayError(f"config: {path} must hold keys such as `models:` at its top level; add such keys")
        size = _expanded_size(root, path)
    except RecursionError:
        raise SlipwayError(f"config: {path} is nested too deeply for a configuration; use fewer levels") from None
    if size > MOST_NODES:
        raise SlipwayError(
            f"config: {path} stands for more than {MOST_NODES} values once its aliases (*name) are filled in; write "
            "the needed values without aliases"
        )


def require_keys_once(path: str | Path) -> None:
    """Raise SlipwayError with both lines if a key occurs twice in a mapping. YAML would silently drop the first."""
    for key, first, second in _repeated(yaml.compose(Path(path).read_bytes(), Loader=FAST_LOADER), "", set()):
        raise SlipwayError(
            f"config: `{key}` stands in lines {first} and {second} of {path}, and YAML would keep only the second; "
            "merge them into one"
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
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = f"{path}{key.value}", key.start_mark.line + 1
            if name in lines:
                yield name, lines[name], line
            lines[name] = line
            yield from _repeated(value, f"{name}.", seen)


def _text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
        if len(content) > MOST_BYTES:
            raise SlipwayError(f"config: {path} has {len(content)} bytes, which is no configuration; name another file")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SlipwayError(
            f"config: {path} is not text in UTF-8 (line {line}); save it in that encoding, without others mixed in"
        ) from None
    except OSError as error:
        raise SlipwayError(f"config: {path} cannot be read ({error.strerror}); let this user read it") from None


def _parsed(path: str | Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=FAST_LOADER)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if "nesting" in problem:
            raise RecursionError from None
        where = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"line {where.line + 1}, column {where.column + 1}: " if where else ""
        raise SlipwayError(f"config: {path} is no valid YAML ({place}{problem}); correct it there") from None


def _expanded_size(root: yaml.Node, path: str | Path) -> int:
    """Return the number of values in a document with its aliases filled in. Each node is computed once.

    Raises SlipwayError if a value contains itself.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in open_nodes:
            raise SlipwayError(
                f"config: {path} has an alias in line {node.start_mark.line + 1} that contains itself; remove the alias"
            )
        if id(node) not in sizes:
            open_nodes.add(id(node))
            children = [child for pair in node.value for child in pair] if node.id == "mapping" else node.value
            sizes[id(node)] = 1 + sum(map(size, children))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    return size(root)
