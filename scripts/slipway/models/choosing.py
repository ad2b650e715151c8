"""Choose the weights in a checkpoint: the only set of weights that fits the network exactly."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import torch

from slipway.core.errors import SlipwayError, listed
from slipway.models.checkpoint_files import Content
from slipway.models.loading import PACKED, few, load, require_tensors
from slipway.models.network import Network
from slipway.models.state_dict_candidates import TOP, Fit, candidates, fit

# Names of averaged weights (EMA, SWA), which many training programs save beside the last weights.
_AVERAGES = re.compile(r"(^|[._])(ema|swa|avg|averaged?|shadow|polyak)", re.IGNORECASE)

# The name of a part of a checkpoint, such as model-00001-of-00003.safetensors.
_PART = re.compile(r"-\d+-of-\d+\.\w+$")


@dataclass(frozen=True)
class Choice:
    """The weights that were chosen in a checkpoint, and the reason.

    `weights_key` is their dotted path in the file, and `why` the reason for the choice. `left_out` names the tensors
    that were not loaded, and `cast` the casts to another dtype, both in words. Each is None if there are no such
    tensors.
    """

    weights_key: str
    why: str
    left_out: str | None
    cast: str | None

    def __str__(self) -> str:
        """Return the choice as a sentence."""
        where = "at the top of the file" if self.weights_key == TOP else f"of `{self.weights_key}`"
        left_out = f"; left out: {self.left_out}" if self.left_out else ""
        return f"the weights are those {where}, {self.why}{left_out}{f'; cast: {self.cast}' if self.cast else ''}"


def load_checkpoint(
    model: torch.nn.Module, content: Content, origin: str | Path, weights_key: str | None = None
) -> Choice:
    """Load the weights of a checkpoint into `model`, and return the choice of the weights.

    `origin` names the checkpoint in errors. `weights_key` restricts the choice to one dotted path in the file, such as
    "model_ema"; with None, all paths are tried. Raises SlipwayError unless exactly one set of weights fits the network
    exactly.
    """
    require_tensors(model)
    network = Network(model)
    fits = [fit(candidate, network) for candidate in candidates(content, network.size, weights_key)]
    if not fits:
        raise SlipwayError(
            f"`weights_key` is {weights_key!r}, but checkpoint {origin} has no tensors there; they are in "
            f"{few(sorted({name.split('.')[0] for name in content.tensors}))}; correct it in config.yaml"
        )
    exact = _distinct([match for match in fits if match.is_exact], weights_key)
    if not exact:
        raise SlipwayError(f"checkpoint {origin} {_misfit(fits, str(origin))}")
    if len(exact) > 1:
        raise SlipwayError(f"checkpoint {origin} {_ambiguity(exact)}")
    choice = exact[0]
    if weights_key is None and (average := _unread_average(fits, choice, network.size)):
        raise SlipwayError(
            f"checkpoint {origin} holds `{average}` beside `{choice.candidate.key}`, which by its name is an average "
            "of the weights but does not have the network's names; save the weights that are to be served by "
            f"themselves, or take the others by `weights_key: {choice.candidate.key}` under the model in config.yaml"
        )
    if differences := load(model, choice.state()):
        raise SlipwayError(f"checkpoint {origin} is of another architecture: {differences}")
    casts = ", ".join(f"{count} tensors from {words}" for words, count in sorted(choice.casts.items()))
    return Choice(choice.candidate.key, _why(fits, choice, weights_key), _left_out(content, choice), casts or None)


def _distinct(exact: list[Fit], weights_key: str | None) -> list[Fit]:
    """Return one fit for each distinct set of weights, since a checkpoint may have the same weights at several paths.

    If some fits have the path `weights_key`, only these fits are compared.
    """

    def are_same(one: dict, other: dict) -> bool:
        return one.keys() == other.keys() and all(
            tensor is other[name] or torch.equal(tensor, other[name]) for name, tensor in one.items()
        )

    named = [match for match in exact if match.candidate.key == weights_key]
    distinct: list[Fit] = []
    for match in named or exact:
        if not any(are_same(match.tensors, other.tensors) for other in distinct):
            distinct.append(match)
    return distinct


def _misfit(fits: list[Fit], origin: str) -> str:
    """Return why no set of weights in the checkpoint `origin` fits the network exactly, with the remedy.

    `fits` are the attempts to load each set of weights.
    """

    def nearness(tried: Fit) -> tuple[int, ...]:
        matches = len(tried.tensors) - len(tried.differences.unexpected) - len(tried.differences.reshaped)
        return matches, len(tried.tensors), len(tried.candidate.key.strip(TOP))

    nearest = max(fits, key=nearness)
    if not nearest.differences:
        return (
            f"holds tensors of another kind than the network's: {few(nearest.refused)}; whole numbers, truth "
            "values, complex numbers, floats of one byte, sparse tensors and tensors without values are no weights by "
            "themselves: save the dense float weights that they were made from, or correct `weights` in config.yaml"
        )
    if packed := [name for name in nearest.differences.unexpected if PACKED in name]:
        return (
            f"is of a quantised network ({packed[0]}); save the float weights that it was made from: Slipway quantises "
            "them itself, by `precisions: [int8]` of a target"
        )
    if _PART.search(origin) and nearest.differences.missing and not nearest.differences.unexpected:
        return (
            f"is one part of several, by its name, and {few(nearest.differences.missing)} are missing; save all parts "
            "in one file: load each part with safetensors.torch.load_file, put their tensors into one dictionary, and "
            "write it with safetensors.torch.save_file"
        )
    where = "" if nearest.candidate.key == TOP else f", read as `{nearest.candidate.key}`, which is nearest"
    return (
        f"is of another architecture{where}: {nearest.differences}; correct `architecture`, its `arguments` (such as "
        "num_classes) or `weights` in config.yaml"
    )


def _ambiguity(exact: list[Fit]) -> str:
    keys = [match.candidate.key for match in exact]
    averages = [key for key in keys if _AVERAGES.search(key)]
    hint = f" (`{averages[0]}` is an average by its name, as is often served)" if len(averages) == 1 else ""
    lines = " or ".join(f"`weights_key: {key}`" for key in keys)
    return (
        f"holds {len(keys)} different sets of weights that fit: {' and '.join(f'`{key}`' for key in keys)}{hint}; "
        f"choose one by a line under the model in config.yaml: {lines}"
    )


def _unread_average(fits: list[Fit], choice: Fit, size: int) -> str | None:
    """Return the path of averaged weights (EMA, SWA) that do not fit the network; None if there are none.

    Such weights are often those to serve, so the caller refuses to ignore them. Only averages with at least half of
    `size`, the number of the network's tensors, count.
    """
    readable = choice.candidate.names.union(*(match.candidate.names for match in fits if match.is_exact))
    unread = (match.candidate for match in fits if not match.candidate.names & readable)
    return next((one.key for one in unread if 2 * len(one.names) >= size and _AVERAGES.search(one.key)), None)


def _why(fits: list[Fit], choice: Fit, weights_key: str | None) -> str:
    if weights_key:
        return f"as `weights_key: {weights_key}` asks"
    others = [match for match in fits if not match.candidate.names & choice.candidate.names]
    same = [match.candidate.key for match in others if match.is_exact and match is not choice]
    if same:
        return f"which are the same as `{same[0]}`"
    return f"the only ones that fit beside `{others[0].candidate.key}`" if others else "the only ones in the file"


def _left_out(content: Content, choice: Fit) -> str | None:
    """Return in words the tensors of the checkpoint that were not loaded, grouped by their path; None without any."""
    path = choice.candidate.key.split(".") if choice.candidate.key != TOP else []
    counts: Counter[str] = Counter()
    for name in content.tensors.keys() - choice.candidate.names:
        parts = name.split(".")
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, parts, strict=False)))
        counts[".".join(parts[: shared + 1])] += 1
    places = [f"{place} ({count} tensors)" if count > 1 else place for place, count in sorted(counts.items())]
    return listed(places, 5) or None
