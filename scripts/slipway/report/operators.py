"""Group the operators of a profile by kind, for the bar that shows where the time goes."""

from pathlib import Path

from slipway.core.templates import data_of

# {kind: the beginnings of the names of the operators of this kind}
KINDS: dict[str, list[str]] = data_of(Path(__file__).with_name("operators.yaml"))
OTHER = "other operators"


def by_kind(profile: dict | None) -> dict[str, float]:
    """Return {kind of operator: share of the profiled time (0..1)} of the kinds with a share; {} without a profile.

    `profile` is the record of profile_model.py, or None. The shares sum to 1. The rest of the time, such as the time in
    Python itself, is in "other operators".
    """
    if not profile:
        return {}
    shares = dict.fromkeys([*KINDS, OTHER], 0.0)
    for operator in profile["operators"]:
        shares[kind_of(operator["name"])] += operator["share"]
    total = sum(shares.values())
    shares[OTHER] += max(0.0, 1 - total)
    return {kind: share / max(total, 1.0) for kind, share in shares.items() if share > 0}


def kind_of(operator: str) -> str:
    """Return the kind in KINDS of an operator of PyTorch, such as "aten::mkldnn_convolution"."""
    name = operator.removeprefix("aten::").removesuffix("_")
    return next((kind for kind, begins in KINDS.items() if name.startswith(tuple(begins))), OTHER)
