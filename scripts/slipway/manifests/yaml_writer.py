"""YAML text of manifests: sorted keys below a comment, the same bytes for the same objects."""

import textwrap

import yaml


class _Dumper(yaml.SafeDumper):
    """A dumper that indents lists below their key, and writes text of several lines as a block."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists too."""
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        """Write a repeated object in full, without an alias."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def documents(objects: list[dict], comment: str) -> str:
    """Return objects as YAML documents with sorted keys, below a comment."""
    dumped = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=True, explicit_start=True, width=1000, allow_unicode=True)
    return comment + dumped


def comment(*sentences: str) -> str:
    """Return sentences as the lines of a comment; each sentence begins on a new line."""
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, 117, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in lines)
