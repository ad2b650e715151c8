"""Write a first entry of config.yaml for a checkpoint: its network, number of classes, preprocessing, samples."""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from slipway.classification.published import as_written, published
from slipway.core.cli import parser, printable, progress, run
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.weights_files import PROGRAMS, WEIGHTS_SUFFIXES, program_kind
from slipway.models.checkpoint_files import Content, read_checkpoint
from slipway.models.loading import few
from slipway.models.readings import TOP
from slipway.models.recognition import Match, recognise, recognise_timm
from slipway.models.sources import source_of
from slipway.storage.addresses import is_address, local_path, require_no_secret
from slipway.storage.fetched import fetched, planned

FILL_IN = "FILL IN"
_SAMPLES = (
    '"your_package.data:samples"',
    f'{FILL_IN}: real inputs: "package.module:function" that yields {{input: array}}, a .npz, or a folder of them, or '
    "nothing if the network takes photographs and gives one score a class",
)
# Names of tensors by which networks of other packages are known: (pattern, `architecture`, whose they are).
_ELSEWHERE = (
    (r"(^|\.)blocks\.\d+\.attn\.qkv\.weight$", "timm:NAME", "timm's vision transformers"),
    (r"(^|\.)blocks\.\d+\.\d+\.conv_pwl?\.weight$", "timm:NAME", "timm's EfficientNets and MobileNets"),
    (r"(^|\.)stages\.\d+\.blocks\.\d+\.", "timm:NAME", "timm's networks of stages, such as ConvNeXt"),
    (r"(^|\.)encoder\.layer\.\d+\.attention\.", "transformers:CLASS", "transformers' encoders, such as BERT and ViT"),
    (r"(^|\.)transformer\.layer\.\d+\.attention\.", "transformers:CLASS", "transformers' DistilBERT"),
    (r"(^|\.)layers\.\d+\.self_attn\.q_proj\.weight$", "transformers:CLASS", "transformers' decoders"),
)


@dataclass
class Entry:
    """An entry of `models`: its lines as (key, value in YAML, comment), and sentences about what was found.

    `weights` is the path or address of the checkpoint, as the user named it.
    """

    weights: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, key: str, value: object, comment: str = "") -> None:
        """Add a line. A key that begins with "# " is shown, but not set."""
        self.lines.append((key, str(value), comment))

    def text(self, name: str) -> str:
        """Return the entry as a configuration that stands alone."""
        named = json.dumps(self.weights)[1:-1]  # on one line, whatever a file's name has
        written = [f"# A first entry for {named}, written by scripts/new_model.py.", "models:", f"  {name}:"]
        for key, value, comment in self.lines:
            written += [f"    # {line}" for line in _wrapped(comment)]
            written.append(f"    {key}: {value}")
        return "\n".join(written) + "\n"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "checkpoint", help="a checkpoint, exported program, TorchScript or ONNX file, also in storage"
    )
    arguments.add_argument("--name", help="name of the model; left out, that of the file")
    arguments.add_argument("--config", type=Path, default=Path("config.yaml"), help="whose names are taken already")
    arguments.add_argument("--output", type=Path, help="new file to write, for --configfile; left out, the terminal")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Print the entry, or write it into a new file. Nothing is overwritten or appended to."""
    weights, output = arguments.checkpoint, arguments.output
    checkpoint = _local(weights)
    if not checkpoint.is_file():
        raise SlipwayError(f"{checkpoint} is no file; name a checkpoint")
    if not checkpoint.name.endswith(WEIGHTS_SUFFIXES):
        raise SlipwayError(
            f"{checkpoint} has no suffix that `weights` takes; name it {checkpoint.name}.pth, or as it is"
        )
    name = arguments.name or _name_of(checkpoint)
    if name in _names_in(arguments.config):
        raise SlipwayError(f"{arguments.config} has a model {name}; give the new one another --name")
    if output and output.exists():
        raise SlipwayError(f"{output} exists, and is not overwritten; name a new file as --output")
    entry = entry_of(checkpoint, weights)
    text = entry.text(name)
    complete({"models": yaml.safe_load(text)["models"]})  # a name that no model may have, for example
    for finding in entry.findings:
        progress(finding)
    if output is None:
        print(printable(text), end="")
        return
    with output.open("x", encoding="utf-8") as file:
        file.write(text)
    progress(f"wrote {output}; then: snakemake -n deploy --configfile {output}")


def entry_of(checkpoint: Path, weights: str) -> Entry:
    """Return the entry for a file, by its content. `weights` names it there.

    Raises SlipwayError if it holds no tensors by name.
    """
    entry = Entry(weights)
    if kind := program_kind(str(checkpoint)):
        _describe_program(entry, checkpoint, kind)
        return entry
    content = read_checkpoint(checkpoint)
    matches = recognise(content)
    exact = [match for match in matches if match.arguments is not None]
    if exact:
        _describe_known(entry, checkpoint, exact)
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
    """Describe a network of timm that the training program named. Its preprocessing is timm's, if none is stated."""
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
    """Add what one output may mean, or the file with the names of several classes."""
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
    """Describe a network that is none of torchvision's, with hints as far as there are any."""
    parameters = sum(tensor.numel() for tensor in content.tensors.values())
    entry.findings.append(
        f"not found: an architecture; the file has {parameters:,} numbers in tensors, {few(list(content.tensors))}"
    )
    architecture, comment = '"your_package.networks:factory"', "a function of yours that makes the network"
    for match in near:
        entry.findings.append(
            f"found: at {_place(match.weights_keys[0])}, all of torchvision's {match.architecture} but for its head, "
            f"`{match.head}`; the factory makes that network and puts your head in its place"
        )
    hints = [
        (name, whose) for pattern, name, whose in _ELSEWHERE if any(re.search(pattern, one) for one in content.tensors)
    ]
    if content.noted:
        entry.findings.append(f"found: the training program noted the name {content.noted!r}")
    if hints and not near:
        name, whose = hints[0]
        entry.findings.append(f"found: names as in {whose}; if the network is from there, write `architecture: {name}`")
        comment += f", or {name} with the name of {whose}"
    entry.add("architecture", architecture, f"{FILL_IN}: {comment}")
    entry.add("weights", json.dumps(entry.weights))
    entry.add("samples", *_SAMPLES)


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


def _local(weights: str) -> Path:
    """Return the path of a checkpoint on this machine. One in storage is fetched as a run would fetch it."""
    require_no_secret("weights", weights)
    if is_address(weights):
        return fetched(weights, planned(weights).fingerprint)
    return Path(local_path(weights))


def _name_of(checkpoint: Path) -> str:
    """Return a name of a model that is made of a file's name."""
    stem = next(checkpoint.name.removesuffix(suffix) for suffix in WEIGHTS_SUFFIXES if checkpoint.name.endswith(suffix))
    name = re.sub(r"[^a-z0-9]+", "_", stem.removesuffix(".pth").lower()).strip("_")
    return name if name[:1].isalpha() else f"model_{name}".rstrip("_")


def _names_in(config: Path) -> set[str]:
    """Return the names of the models in a configuration; none if there is no such file."""
    try:
        models = yaml.safe_load(config.read_text(encoding="utf-8"))["models"]
    except (OSError, TypeError, KeyError, yaml.YAMLError):
        return set()
    return set(models) if isinstance(models, dict) else set()


def _wrapped(comment: str) -> list[str]:
    import textwrap

    return textwrap.wrap(comment, 110, break_long_words=False)


if __name__ == "__main__":
    run(main, parse_arguments())
