"""Recognise torchvision's networks in a checkpoint, by the names and shapes of its tensors.

A network consists of a body and a head. The head depends on the number of classes. bodies.json has a digest of the
names and shapes in each network's body. So only networks with the checkpoint's body need to be built.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.pytorch import torch
from slipway.models.auxiliary_heads import head_names
from slipway.models.checkpoint_files import Content
from slipway.models.loading import COUNTER
from slipway.models.network import as_renamed, without_wrappers
from slipway.models.sources import PLAIN, source_named, source_of
from slipway.models.state_dict_candidates import Candidate, candidates

_TABLE = Path(__file__).with_name("bodies.json")
# Heads that are used in training only, and so are no part of a body.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")
# The table of positions of torchvision's vision transformers, whose length follows from the size of the photographs.
_POSITIONS = "encoder.pos_embedding"
# {name of a layer in the blocks of these networks' first published files: its present name}
_LAYERS = {".mlp.linear_1.": ".mlp.0.", ".mlp.linear_2.": ".mlp.3."}
_DEFAULTS = {"num_classes": 1000, "image_size": 224}
Shapes = Mapping[str, tuple[int, ...]]


@dataclass
class Match:
    """A network that fits a checkpoint in all layers before its head.

    `is_exact`: the head fits, too, if the network is built with the keyword arguments `arguments`. `head`: the first
    part of the names of the head's tensors, such as "fc". `weights_keys`: the dotted paths of the network's weights in
    the file.
    """

    architecture: str
    head: str = ""
    is_exact: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    weights_keys: list[str] = field(default_factory=list)


def recognise(content: Content) -> list[Match]:
    """Return torchvision's networks that fit a checkpoint exactly; without any, those that fit except for the head."""

    def of_torchvision(shapes: Shapes) -> list[Match]:
        return [_match(*architecture, shapes) for architecture in _possible_architectures(shapes)]

    matches = _matches(content, of_torchvision)
    return [match for match in matches if match.is_exact] or matches


def recognise_timm(content: Content) -> Match | None:
    """Return timm's network whose name the training program saved in the checkpoint, if the network fits.

    Return None if the checkpoint names no network, if timm is not installed, or if the network does not fit.
    """
    architecture = f"timm:{content.noted}"
    if content.noted is None or package_version("timm") == ABSENT:
        return None
    try:
        make = source_of(architecture).factory(architecture)
    except SlipwayError:  # timm has no such network
        return None

    def of_timm(shapes: Shapes) -> list[Match]:
        arguments = _timm_arguments(make, shapes)
        return [] if arguments is None else [Match(architecture, is_exact=True, arguments=arguments)]

    return next(iter(_matches(content, of_timm)), None)


def _matches(content: Content, networks_with: Callable[[Shapes], list[Match]]) -> list[Match]:
    """Return the networks that fit any set of weights in a checkpoint, each with the dotted paths of these weights.

    `networks_with` returns the networks that fit {name: shape} of a set of weights.
    """
    matches: dict[str, Match] = {}
    chosen: dict[str, list[Candidate]] = {}
    for candidate in candidates(content, max(1, len(content.tensors) // 8), None):
        for match in networks_with(_shapes(candidate)):
            known = matches.setdefault(f"{match.architecture} {match.is_exact} {match.arguments}", match)
            others = chosen.setdefault(match.architecture, [])
            if not any(_are_same(candidate, other) for other in others):
                others.append(candidate)
                known.weights_keys.append(candidate.key)
    return list(matches.values())


def body_digest(shapes: Shapes, head: str) -> str:
    """Return an identity of a network's body, its layers before the head: 16 digits of the SHA-256 of names and shapes.

    `shapes` is {name: shape} of all tensors. `head` is the first part of the names of the head's tensors. Return ""
    without a body.
    """
    body = sorted(
        f"{name} {'' if name == _POSITIONS else list(shape)}"
        for name, shape in shapes.items()
        if not name.startswith((f"{head}.", *_AUXILIARY)) and name.rpartition(".")[2] != COUNTER
    )
    return hashlib.sha256("\n".join(body).encode()).hexdigest()[:16] if body else ""


def empty_network(architecture: str, **arguments: object) -> torch.nn.Module:
    """Return one of torchvision's networks with shapes but without values, so that no memory is needed."""
    without_initialisation = {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    return _made_empty(partial(source_named(PLAIN).factory(architecture), **without_initialisation, **arguments))


def _made_empty(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    try:
        with torch.device("meta"):
            return make()
    except NotImplementedError:  # RegNets compute their widths by tensors
        return make()


@cache
def _table() -> dict[str, dict[str, str]]:
    """Return {architecture: {"classes": name of the tensor with a row for each class, "body": digest}}."""
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def _possible_architectures(shapes: Shapes) -> Iterator[tuple[str, str]]:
    """Yield each network of torchvision whose layers before the head have these shapes.

    Each is (architecture, name of its tensor with a row for each class).
    """
    digests: dict[str, str] = {}
    for architecture, row in _table().items():
        head = row["classes"].partition(".")[0]
        if head not in digests:
            digests[head] = body_digest(shapes, head)
        if digests[head] == row["body"]:
            yield architecture, row["classes"]


def _match(architecture: str, class_tensor: str, shapes: Shapes) -> Match:
    """Return the Match of `architecture`, whose layers before the head have these shapes. Check the head, too.

    `class_tensor` is the name of the tensor with a row for each class. The keyword arguments of the network follow from
    the shapes.
    """
    match = Match(architecture, head=class_tensor.partition(".")[0])
    if class_tensor not in shapes:
        return match
    arguments: dict[str, object] = {"num_classes": shapes[class_tensor][0]}
    if _POSITIONS in shapes:
        patch = shapes["conv_proj.weight"][-1]
        arguments["image_size"] = round((shapes[_POSITIONS][1] - 1) ** 0.5) * patch
    network = empty_network(architecture, **arguments)
    auxiliary = head_names(network)
    needed = {name: shape for name, shape in _shapes_of(network).items() if not name.startswith(auxiliary)}
    given = {name: shape for name, shape in shapes.items() if not name.startswith(auxiliary or _AUXILIARY)}
    counters = {name for name in needed if name.rpartition(".")[2] == COUNTER}
    if {**{name: needed[name] for name in counters}, **given} == needed:
        match.is_exact = True
        match.arguments = {name: value for name, value in arguments.items() if value != _DEFAULTS[name]}
    return match


def _timm_arguments(make: Callable[..., torch.nn.Module], shapes: Shapes) -> dict | None:
    """Return keyword arguments with which timm's network has these shapes; None if there are none.

    `make` makes the network from keyword arguments. The result is {"num_classes": number}, or {} if the default number
    fits.
    """
    published = _shapes_of(_made_empty(make))
    if shapes.keys() != published.keys():
        return None
    rows = {shapes[name][:1] for name, shape in published.items() if shapes[name] != shape}
    if len(rows) > 1 or () in rows:
        return None
    arguments = {"num_classes": rows.pop()[0]} if rows else {}
    return arguments if _shapes_of(_made_empty(partial(make, **arguments))) == shapes else None


def _shapes_of(network: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _shapes(candidate: Candidate) -> Shapes:
    """Return {name: shape} of a candidate's tensors, with the names that the network gives them today."""
    shapes = {}
    for name, tensor in candidate.tensors.items():
        spelling = as_renamed(without_wrappers(name))
        for older, today in _LAYERS.items():
            spelling = spelling.replace(older, today)
        shapes[spelling] = tuple(tensor.shape)
    return shapes


def _are_same(one: Candidate, other: Candidate) -> bool:
    pairs = list(zip(one.tensors.values(), other.tensors.values(), strict=False))
    return len(one.tensors) == len(other.tensors) and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)
