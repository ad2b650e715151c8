"""The candidates for a network's state dict: the tensors below each dotted path that may hold the weights."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from slipway.models.checkpoint_files import Content
from slipway.models.loading import COUNTER, Differences, load, state_dict
from slipway.models.network import Network
from slipway.networks.answer_structure import dtype_of, is_dense

TOP = "."  # the `weights_key` of tensors that lie at the top of a file


@dataclass(frozen=True)
class Candidate:
    """The tensors below one dotted path of a checkpoint, by their names relative to this path.

    `key`: the path, such as "state_dict.module". `names`: the tensors' full names in the file. `versions`: {module: its
    metadata in PyTorch's state dict, such as {"version": 2}}.
    """

    key: str
    tensors: dict[str, torch.Tensor]
    names: frozenset[str]
    versions: dict[str, dict]


@dataclass(frozen=True)
class Fit:
    """The result of loading a candidate into a network.

    `tensors` have the network's names. `versions` are the versions of modules, {module: metadata}, with which they were
    loaded. `refused` are sentences about tensors that cannot be cast. `casts` counts the casts by their description,
    such as "float16 to float32".
    """

    candidate: Candidate
    tensors: dict[str, torch.Tensor]
    versions: dict[str, dict]
    differences: Differences = field(default_factory=Differences)
    refused: list[str] = field(default_factory=list)
    casts: Counter = field(default_factory=Counter)

    @property
    def is_exact(self) -> bool:
        """Return whether the candidate fits the network without differences and without refused casts."""
        return not self.differences and not self.refused

    def state(self) -> OrderedDict[str, torch.Tensor]:
        """Return the tensors and the versions of modules as a new state dict."""
        return state_dict(self.tensors, self.versions)


def candidates(content: Content, size: int, weights_key: str | None) -> list[Candidate]:
    """Return the sets of tensors in a checkpoint that may be the network's weights, the shortest path first.

    Each has at least half of `size` tensors, where `size` is the network's number of tensors. If no set is so large,
    return the three largest ones. If `weights_key` is given, only tensors at or below this path count.
    """
    below_key = [
        candidate
        for candidate in _all_candidates(content, size)
        if weights_key in (None, TOP, candidate.key) or candidate.key.startswith(f"{weights_key}.")
    ]
    large = [candidate for candidate in below_key if 2 * len(candidate.tensors) >= size]
    return large or sorted(below_key, key=lambda candidate: -len(candidate.tensors))[:3]


def fit(candidate: Candidate, network: Network) -> Fit:
    """Return the result of loading a candidate into a network, with the module versions that fit best.

    The network itself stays unchanged.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in candidate.tensors.items():
        spelling = network.spelling(name)
        # If another tensor has the new name, a tensor keeps its name, which the network does not know, and is reported.
        tensors[name if spelling in candidate.tensors or spelling in tensors else spelling] = tensor
    tensors = {name: tensor for name, tensor in tensors.items() if network.needs(name, tensor)}
    fits: list[Fit] = []
    for versions in [*([candidate.versions] if candidate.versions else []), *network.versions()]:
        fits.append(_try_in_copy(Fit(candidate, tensors, versions), network))
        if not fits[-1].differences:
            break
    return min(fits, key=lambda tried: len(tried.differences))


def _try_in_copy(candidate: Fit, network: Network) -> Fit:
    """Load the tensors of a fit into a copy of the network. Return the fit with what did not fit, and the casts."""
    skeleton = network.skeleton()
    differences = load(skeleton, candidate.state(), assign=True)
    loaded = {name: tensor for name, tensor in skeleton.state_dict().items() if not tensor.is_meta}
    dense = {name for name, tensor in loaded.items() if is_dense(tensor)}
    differences.others.extend(
        f"{first} and {other} are one tensor in the network, but two in the checkpoint"
        for first, *others in network.tied
        for other in others
        if {first, other} <= dense and not torch.equal(loaded[first], loaded[other])
    )
    refused = [f"{name} has no values (device meta)" for name, tensor in candidate.tensors.items() if tensor.is_meta]
    casts: Counter[str] = Counter()
    for name, own in network.expected.items():
        tensor = loaded.get(name)
        if tensor is None or name.rpartition(".")[2] == COUNTER or (tensor.dtype == own.dtype and name in dense):
            continue
        if reason := _refusal(tensor, own):
            refused.append(f"{name} is {reason}")
        else:
            casts[f"{dtype_of(tensor)} to {dtype_of(own)}"] += 1
    return replace(candidate, differences=differences, refused=refused, casts=casts)


def _refusal(tensor: torch.Tensor, own: torch.Tensor) -> str | None:
    """Return the reason why `tensor` cannot be cast to the dtype of `own`, the network's tensor; None if it can.

    Floats of at least two bytes can be cast to each other unless a number overflows. Shorter floats are quantized, and
    would need scales. Integers and booleans can be cast only if no value changes.
    """
    words, dtype = f"{dtype_of(tensor)}, not {dtype_of(own)}", own.dtype
    if tensor.layout != torch.strided or tensor.is_nested:
        return "sparse"
    if tensor.is_quantized:
        return words
    if dtype.is_floating_point or dtype.is_complex:
        is_wide_float = tensor.dtype.is_floating_point and tensor.dtype.itemsize >= 2
        if not (is_wide_float or (tensor.dtype.is_complex and dtype.is_complex)):
            return words
        overflows = torch.isfinite(tensor).all() and not torch.isfinite(tensor.to(dtype)).all()
        return f"{words}, which its largest numbers exceed" if overflows else None
    if tensor.dtype.is_complex:
        return words
    return None if torch.equal(tensor.to(dtype).to(tensor.dtype), tensor) else words


def _all_candidates(content: Content, size: int) -> Iterator[Candidate]:
    """Yield each set of tensors in a checkpoint that may be a network's weights, for each prefix of their dotted names.

    The first candidate of a prefix has all tensors below the prefix. Each further candidate leaves out a second set of
    weights: tensors in another mapping, or at least half of `size` tensors below a longer prefix.
    """
    below: dict[str, list[str]] = {"": list(content.tensors)}
    for name in content.tensors:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            below.setdefault(".".join(parts[:depth]), []).append(name)
    for prefix in sorted(below, key=lambda prefix: (prefix.count(".") + bool(prefix), prefix)):
        names = below[prefix]
        yield _candidate(content, prefix, names)
        rests = [[name for name in names if content.mappings[name] == prefix]]
        for other in below:
            if other and other.rpartition(".")[0] == prefix and 2 * len(below[other]) >= size:
                rests.append(_copied(prefix, names, set(below[other])))
        yield from (_candidate(content, prefix, rest) for rest in rests if 0 < len(rest) < len(names))


def _copied(prefix: str, names: list[str], inner: set[str]) -> list[str]:
    """Return the tensors' `names` without those in `inner`, if `inner` has a copy of each of them; otherwise [].

    `names` are all names below `prefix`, also those in `inner`. A copy has the same name below a longer prefix, as
    "ema.conv.weight" is one of "conv.weight".
    """
    rest = [name for name in names if name not in inner]
    start = len(prefix) + 1 if prefix else 0
    tails = {".".join(parts[depth:]) for parts in (name.split(".") for name in inner) for depth in range(len(parts))}
    return rest if all(name[start:] in tails for name in rest) else []


def _candidate(content: Content, prefix: str, names: list[str]) -> Candidate:
    start = len(prefix) + 1 if prefix else 0
    versions = {
        "" if module == prefix else module[start:]: version
        for module, version in content.versions.items()
        if module == prefix or not prefix or module.startswith(f"{prefix}.")
    }
    tensors = {name[start:]: content.tensors[name] for name in names}
    return Candidate(prefix or TOP, tensors, frozenset(names), versions)
