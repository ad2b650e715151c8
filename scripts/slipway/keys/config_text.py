"""Read a configuration file as YAML of moderate size with unique keys, and explain a problem in one sentence."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError

# Larger than any real configuration. Without a limit, aliases of aliases make a million nodes from twenty lines.
MOST_BYTES = 1 << 20
MOST_NODES = 20_000


def read_tree(path: str | Path) -> yaml.Node | None:
    """Return the YAML tree of a configuration file; None if it is missing, since Snakemake names a missing file itself.

    Raises SlipwayError unless the file is UTF-8 text whose YAML is a mapping of moderate size, without recursion, and
    names each key of a mapping once. YAML would silently drop the first of two equal keys.
    """
    if not Path(path).is_file():
        return None
    try:
        root = _parsed(path)
        if not isinstance(root, yaml.MappingNode):
            raise SlipwayError(f"config: {path} must hold keys such as `models:` at its top level; add such keys")
        size = sum(1 for _ in islice(_values(root, path), MOST_NODES + 1))
    except RecursionError:
        raise SlipwayError(f"config: {path} is nested too deeply for a configuration; use fewer levels") from None
    if size > MOST_NODES:
        raise SlipwayError(
            f"config: {path} stands for more than {MOST_NODES} values once its aliases (*name) are filled in; write "
            "the needed values without aliases"
        )
    return root


def _values(node: yaml.Node, path: str | Path, key: str = "", around: tuple = ()) -> Iterator[yaml.Node]:
    """Yield the node of each key and value below a YAML node; aliases are replaced by the nodes that they name.

    `key` is the dotted key of `node`, and `around` are the nodes that contain it. Raises SlipwayError if a key is
    repeated or an alias contains itself. `path` names the file in the message.
    """
    if node in around:
        raise SlipwayError(
            f"config: {path} has an alias in line {node.start_mark.line + 1} that contains itself; remove the alias"
        )
    yield node
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _values(item, path, key, (*around, node))
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            below, line = f"{key}{name.value}", name.start_mark.line + 1
            if below in lines:
                raise SlipwayError(
                    f"config: `{below}` stands in lines {lines[below]} and {line} of {path}, and YAML would keep only "
                    "the second; merge them into one"
                )
            lines[below] = line
            yield from _values(name, path, below, (*around, node))
            yield from _values(value, path, f"{below}.", (*around, node))


def _parsed(path: str | Path) -> yaml.Node | None:
    try:
        content = Path(path).read_bytes()
        if len(content) > MOST_BYTES:
            raise SlipwayError(f"config: {path} has {len(content)} bytes, which is no configuration; name another file")
        return yaml.compose(content.decode("utf-8-sig"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise SlipwayError(f"config: {path} cannot be read ({error.strerror}); let this user read it") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SlipwayError(
            f"config: {path} is not text in UTF-8 (line {line}); save it in that encoding, without others mixed in"
        ) from None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if "nesting" in problem:
            raise RecursionError from None
        where = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"line {where.line + 1}, column {where.column + 1}: " if where else ""
        raise SlipwayError(f"config: {path} is no valid YAML ({place}{problem}); correct it there") from None
