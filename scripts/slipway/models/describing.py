"""Describe a model's file as a first entry of config.yaml: its facts, and lines for the user to complete."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from slipway.classification.published import as_written, published
from slipway.core.errors import SlipwayError
from slipway.keys.weights_files import PROGRAMS, program_kind
from slipway.models.checkpoint_files import Content, read_checkpoint
from slipway.models.entry import FILL_IN, Entry
from slipway.models.loading import few
from slipway.models.readings import TOP
from slipway.models.recognition import Match, recognise, recognise_timm
from slipway.models.sources import SOURCES, source_named, source_of

_SAMPLES = (
    '"your_package.data:samples"',
    f'{FILL_IN}: real inputs: "package.module:function" that yields {{input: array}}, a .npz, or a folder of them, or '
    "nothing if the network takes photographs and gives one score a class",
)


def entry_of(checkpoint: Path, weights: str) -> Entry:
    """Return the entry for a file, by its content. `weights` is the file's path or address in the entry.

    Raises SlipwayError if the file holds no named tensors.
    """
    entry = Entry(weights)
    if kind := program_kind(str(checkpoint)):
        _describe_program(entry, checkpoint, kind)
        return entry
    content = read_checkpoint(checkpoint)
    matches = recognise(content)
    if matches and matches[0].is_exact:
        _describe_known(entry, checkpoint, matches)
    elif match := recognise_timm(content):
        _describe_timm(entry, match)
    elif not _describe_by_configuration(entry, checkpoint):
        _describe_unknown(entry, content, matches)
    return entry


def _describe_known(entry: Entry, checkpoint: Path, matches: list[Match]) -> None:
    """Describe a network of torchvision whose names and shapes all fit."""
    match = matches[0]
    others = ", ".join(other.architecture for other in matches[1:])
    entry.findings.append(
        f"found: {match.architecture} of torchvision, whose names and shapes all fit; another package may have a "
        "network with the same ones"
    )
    if others:
        entry.findings.append(f"not found out: {others} would fit as well; take the one that was trained")
    entry.add("architecture", match.architecture, f"{FILL_IN}: {others} would fit as well" if others else "")
    _add_arguments(entry, match)
    entry.add("weights", json.dumps(entry.weights))
    _add_weights_key(entry, match.weights_keys)
    copied = source_of(match.architecture).recognised(match.architecture, checkpoint)
    weights = published(match.architecture)
    if not weights:  # a network for segmentation
        entry.add("samples", *_SAMPLES)
        return
    described = next(row for row in weights if (row.name == copied.name if copied else row.is_default))
    if copied:
        entry.findings.append(f"found: the file is a copy of {described}")
    comment = f"As {described} were published"
    preprocess = dict(described.preprocess)
    size = match.arguments.get("image_size")
    if size:
        preprocess |= {"resize": size, "crop": size}
        comment += f", but for the size, which is that of the network's table of positions: {size}"
    entry.add(
        "preprocess", as_written(preprocess), comment if copied else f"{comment}. {FILL_IN}: as your training did"
    )
    if not copied:
        entry.findings.append("not found: the preprocessing of the training, and the names of the classes")
        _add_outputs(entry, match)
    for note in source_of(match.architecture).notes(match.architecture, match.arguments, copied):
        entry.findings.append(f"note: {note}")


def _describe_timm(entry: Entry, match: Match) -> None:
    """Describe a network of timm that the training program named. timm knows its preprocessing."""
    entry.findings.append(f"found: {match.architecture}, as the file says, whose names and shapes all fit")
    entry.add("architecture", match.architecture)
    _add_arguments(entry, match)
    entry.add("weights", json.dumps(entry.weights))
    _add_weights_key(entry, match.weights_keys)
    _add_outputs(entry, match)


def _add_arguments(entry: Entry, match: Match) -> None:
    if match.arguments:
        entry.add("arguments", as_written(match.arguments))
    count = match.arguments.get("num_classes")
    entry.findings.append(f"found: {count if count is not None else 'the published number of'} outputs of the head")


def _add_outputs(entry: Entry, match: Match) -> None:
    """Add the meaning of a single output, or the file with the names of several classes, for the user to state."""
    if match.arguments.get("num_classes") == 1:
        entry.add(
            "# output", "tensor", f"{FILL_IN}: tensor for a quantity; sigmoid for a yes or no; left out, it is found"
        )
    else:
        entry.add(
            "# labels", "classes.txt", f"{FILL_IN}: the names of the classes, one a line, in the order of the outputs"
        )


def _add_weights_key(entry: Entry, keys: list[str]) -> None:
    """Add the place of the weights in the file, if there are several sets."""
    if len(keys) < 2:
        return
    words = ", ".join(map(_place, keys))
    entry.findings.append(f"found: {len(keys)} different sets of weights that fit: {words}")
    entry.add(
        "weights_key", json.dumps(keys[0]), f"{FILL_IN}: one of {words}; an average such as an EMA is often served"
    )


def _place(key: str) -> str:
    return f"the top of the file ({TOP})" if key == TOP else key


def _describe_by_configuration(entry: Entry, checkpoint: Path) -> bool:
    """Describe a network of transformers by the config.json beside its weights. Return whether there is one."""
    path = checkpoint.with_name("config.json")
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError):
        return False
    if not named:
        return False
    entry.findings.append(
        f"found: {named[0]} of transformers, as {path} says; whether the weights fit is seen by a run"
    )
    entry.add("architecture", f"transformers:{named[0]}")
    entry.add("arguments", f"{{config: {json.dumps(str(path))}}}")
    entry.add("weights", json.dumps(entry.weights))
    entry.add("samples", *_SAMPLES)
    return True


def _describe_unknown(entry: Entry, content: Content, near: list[Match]) -> None:
    """Describe a network that was not recognised. Add hints about its package, if the file has any."""
    parameters = sum(tensor.numel() for tensor in content.tensors.values())
    entry.findings.append(
        f"not found: an architecture; the file's tensors, {few(list(content.tensors))}, have {parameters:,} numbers"
    )
    architecture, comment = '"your_package.networks:factory"', "a function of yours that makes the network"
    for match in near:
        entry.findings.append(
            f"found: at {_place(match.weights_keys[0])}, all of torchvision's {match.architecture} but for its head, "
            f"`{match.head}`; the factory makes that network and puts your head in its place"
        )
    if content.noted:
        entry.findings.append(f"found: the training program noted the name {content.noted!r}")
    if (hint := _hint(content)) and not near:
        written, networks = hint
        entry.findings.append(
            f"found: names as in {networks}; if the network is from there, write `architecture: {written}`"
        )
        comment += f", or {written} with the name of {networks}"
    entry.add("architecture", architecture, f"{FILL_IN}: {comment}")
    entry.add("weights", json.dumps(entry.weights))
    entry.add("samples", *_SAMPLES)


def _hint(content: Content) -> tuple[str, str] | None:
    """Return (form of `architecture`, networks in words) of a source whose tensors have such names; None if none."""
    for source in map(source_named, SOURCES):
        for pattern, networks in source.name_patterns.items():
            if any(re.search(pattern, name) for name in content.tensors):
                return source.written, networks
    return None


def _describe_program(entry: Entry, checkpoint: Path, kind: str) -> None:
    """Describe a program, which has its network inside."""
    entry.findings.append(f"found: {PROGRAMS[kind]}, which needs no `architecture`")
    entry.add("weights", json.dumps(entry.weights))
    tensors = list(_tensors_of(checkpoint)) if kind == "onnx_file" else []
    for line in tensors:
        entry.findings.append(f"found: {line}")
    entry.add("samples", *_SAMPLES)


def _tensors_of(checkpoint: Path) -> Iterator[str]:
    """Yield the inputs and outputs of an ONNX file in words."""
    import onnx

    try:
        graph = onnx.load(checkpoint, load_external_data=False).graph
    except Exception as error:
        raise SlipwayError(
            f"{checkpoint} is truncated or no ONNX file ({type(error).__name__}); copy it again"
        ) from None
    weights = {tensor.name for tensor in graph.initializer}
    for kind, tensors in (("input", graph.input), ("output", graph.output)):
        for tensor in tensors:
            if tensor.name not in weights:
                shape = [size.dim_param or size.dim_value or "?" for size in tensor.type.tensor_type.shape.dim]
                dtype = onnx.TensorProto.DataType.Name(tensor.type.tensor_type.elem_type).lower()
                yield f"the {kind} {tensor.name}, {dtype} ({', '.join(map(str, shape))})"
