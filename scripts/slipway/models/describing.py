"""Write a first entry of config.yaml for a checkpoint: facts from the file, and lines for the user to complete.

entry.yaml.j2 is the template of the entry. findings.txt.j2 is the template of the sentences about the file.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.classification.published import as_written, published
from slipway.core.templates import document
from slipway.keys.weights_files import PROGRAMS, program_kind
from slipway.models.checkpoint_files import Content, read_checkpoint
from slipway.models.loading import few
from slipway.models.recognition import Match, recognise, recognise_timm
from slipway.models.sources import SOURCES, source_named, source_of
from slipway.models.state_dict_candidates import TOP


def described(checkpoint: Path, weights: str, name: str) -> tuple[str, list[str]]:
    """Return (text of a config.yaml with an entry for a checkpoint, sentences for the user about the checkpoint).

    `weights` is the path or address that the entry gives as `weights`, and `name` is the name of the model. Raises
    SlipwayError if the file has no named tensors.
    """
    unknown = dict.fromkeys(("program", "source", "architecture", "to_choose", "published", "is_copy"))
    facts = {**unknown, "arguments": {}, "weights_keys": [], **_facts(checkpoint), "weights": weights, "name": name}
    filters: dict[str, Any] = {
        "json": _quoted,
        "as_written": as_written,
        "few": few,
        "place": _place,
        "comment": _comment,
    }
    templates = (Path(__file__).with_name(f"{text}.j2") for text in ("entry.yaml", "findings.txt"))
    entry, findings = (document(template, facts, **filters) for template in templates)
    return entry, findings.splitlines()


def _quoted(text: str) -> str:
    """Return a text in quotes for YAML. Letters such as umlauts stay readable; other characters are escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _facts(checkpoint: Path) -> dict:
    """Return the facts about a checkpoint file, {variable of the templates: value}."""
    if kind := program_kind(str(checkpoint)):
        return {"program": PROGRAMS[kind], "tensors": list(_tensors_of(checkpoint)) if kind == "onnx_file" else []}
    content = read_checkpoint(checkpoint)
    matches = recognise(content)
    if matches and matches[0].is_exact:
        return _of_torchvision(checkpoint, matches)
    if match := recognise_timm(content):
        return {"source": "timm", **_of_match(match)}
    configuration = checkpoint.with_name("config.json")
    if named := _class_in(configuration):
        arguments = {"config": _quoted(str(configuration))}
        return {"source": "transformers", "architecture": f"transformers:{named}", "arguments": arguments}
    return _of_unknown(content, matches)


def _of_match(match: Match) -> dict:
    return {"architecture": match.architecture, "arguments": match.arguments, "weights_keys": match.weights_keys}


def _of_torchvision(checkpoint: Path, matches: list[Match]) -> dict:
    """Return {variable of the templates: value} for a checkpoint that fits networks of torchvision exactly.

    `matches` are these networks; the first one becomes the entry.
    """
    match = matches[0]
    others = ", ".join(other.architecture for other in matches[1:])
    facts = {"source": "torchvision", **_of_match(match), "to_choose": others and f"{others} would fit as well"}
    rows = published(match.architecture)
    if not rows:  # for example, a network for segmentation
        return facts
    source = source_of(match.architecture)
    copied = source.recognised(match.architecture, checkpoint)
    row = next(row for row in rows if (row.name == copied.name if copied else row.is_default))
    size = match.arguments.get("image_size")
    return facts | {
        "published": str(row),
        "preprocess": row.preprocess | ({"resize": size, "crop": size} if size else {}),
        "is_copy": copied is not None,
        "notes": source.notes(match.architecture, match.arguments, copied),
    }


def _of_unknown(content: Content, near: list[Match]) -> dict:
    """Return {variable of the templates: value} for a checkpoint of an unknown network.

    `near` are the networks of torchvision whose body fits. Without them, the names of tensors may give a hint about the
    source.
    """
    hint = None if near else _hint(content)
    advice = "a function of yours that makes the network"
    if hint:
        advice += f", or {hint[0]} with the name of {hint[1]}"
    return {
        "architecture": '"your_package.networks:factory"',
        "to_choose": advice,
        "content": content,
        "count": sum(tensor.numel() for tensor in content.tensors.values()),
        "near": near,
        "hint": hint,
    }


def _hint(content: Content) -> tuple[str, str] | None:
    """Return a source that the names of the tensors suggest, as (form of `architecture`, networks in words).

    For example: ("timm:NAME", "timm's vision transformers"). The first source with a fitting name pattern is returned,
    or None without one.
    """
    for source in map(source_named, SOURCES):
        for pattern, networks in source.name_patterns.items():
            if any(re.search(pattern, name) for name in content.tensors):
                return source.written, networks
    return None


def _class_in(configuration: Path) -> str | None:
    """Return the name of the transformers class in a config.json; None without the file or a class in it."""
    try:
        return json.loads(configuration.read_text(encoding="utf-8"))["architectures"][0]
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _place(key: str) -> str:
    return f"the top of the file ({TOP})" if key == TOP else key


def _comment(text: str) -> str:
    """Return a text as wrapped comment lines with the indentation of an entry."""
    return textwrap.indent(textwrap.fill(text, 110, break_long_words=False), "    # ")


def _tensors_of(checkpoint: Path) -> Iterator[str]:
    """Yield a text for each input and output of an ONNX file, such as "the input x float32 (batch, 3)"."""
    from slipway.onnx.foreign_file import parsed
    from slipway.onnx.onnx_files import tensor_of

    graph = parsed(checkpoint).graph
    weights = {tensor.name for tensor in graph.initializer}
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if value.name not in weights:
                yield f"the {kind} {tensor_of(value).in_words()}"
