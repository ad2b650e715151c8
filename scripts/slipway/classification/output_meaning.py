"""Find the meaning of a network's outputs from its last operation, its output values, and the names of its classes."""

import collections
import traceback
from dataclasses import replace

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from slipway.contract.contract import Tensors
from slipway.contract.network import ServedNetwork
from slipway.core.errors import SlipwayError
from slipway.networks.graph_network import GraphNetwork
from slipway.outputs.meaning import LOGITS, STATED, Meaning
from slipway.outputs.variation import variation

# The largest distance of a sum of probabilities from 1: bfloat16 rounds each probability to 8 bits.
SUM_TOLERANCE = 5e-3
# Values that are shares of a constant sum: their sums vary less than this fraction of the values' variation.
_SHARES = 1e-3
# Operations that move or average values, so that the meaning depends on the operation before them.
_TRANSPARENT = {
    *("view", "reshape", "unsafe_view", "reshape_alias", "flatten", "squeeze", "unsqueeze"),
    *("permute", "transpose", "t", "contiguous", "clone", "to_copy", "to", "float", "detach", "alias"),
    *("expand", "lift_fresh", "dropout", "mean", "avg_pool2d", "adaptive_avg_pool2d"),
}
_ALIASES = {"special_expit": "sigmoid", "special_softmax": "softmax", "special_log_softmax": "log_softmax"}
# Operations with unbounded results: if all their results are within 0..1, this is a coincidence.
_UNBOUNDED = {
    *("addmm", "linear", "mm", "matmul", "bmm", "baddbmm", "einsum", "convolution", "conv1d", "conv2d"),
    *("add", "relu", "native_batch_norm", "batch_norm", "native_layer_norm", "layer_norm"),
}
# Logarithms of probabilities that softmax does not undo: {name: factor that makes natural logarithms of them}.
_OTHER_LOGARITHMS = {"negative": -1.0, "to base 10": np.log(10), "to base 2": np.log(2)}
# From this number of scores, sorted scores are no chance: fewer than one network of 100,000 has them (2 of 9! orders).
_SORTED_BY_CHANCE = 9
_SOFTMAX = ("softmax", "log_softmax")
_UNKNOWN_NUMBER = (
    "the meaning of its single output is not known; say `output: sigmoid` in config.yaml if it is a yes or no, or "
    "`output: tensor` if it is any other number"
)
_UNKNOWN = (
    "the meaning of its {count} outputs is not known; say `output: logits` in config.yaml or name the classes by "
    "`labels` if they are class scores, `output: sigmoid` if each is a yes or no of its own, or `output: tensor` if "
    "they are neither"
)
# The number of last operations to record. Their results stay in memory during the run.
_REMEMBERED = 256


def find_meaning(
    stated: str | None, last: str, outputs: np.ndarray, named_by: str | None, key: str = "output"
) -> Meaning:
    """Return the meaning of outputs (N, values): the stated meaning, or the meaning that the network shows.

    `stated` is the meaning in config.yaml, such as "sigmoid", or None. `last` is the network's last operation, as
    `last_operation` returns it. `named_by` is the evidence, in words, that the outputs are class scores; None without
    evidence. `key` is the output's key in config.yaml, for messages. Raises SlipwayError if the network contradicts the
    stated meaning, or if neither softmax nor sigmoid turns the outputs into probabilities.
    """
    values = outputs.astype(np.float64)
    count = values.shape[1]
    if count == 1 and last in _SOFTMAX:
        raise SlipwayError(
            f"the network ends in a {last} over its single output, which is the same whatever it is shown; let the "
            f"network leave it out, and say `{key}: sigmoid` in config.yaml for a yes or no"
        )
    if stated == "tensor":
        return Meaning("tensor", reason=STATED)
    if no_scores := _why_no_scores(last, values):
        problem, remedy = no_scores
        raise SlipwayError(f"{problem}; let the network {remedy}, or say `{key}: tensor` in config.yaml")
    proven = _proven_meaning(last, values)
    if stated:
        _require_no_contradiction(stated, proven, values, key)
        if proven:
            return replace(proven, reason=f"{STATED}, and {proven.reason}")
        if stated == "logits":
            return replace(LOGITS, reason=STATED)
        return Meaning("sigmoid", None if _may_be_sigmoid(last, values) else "sigmoid", reason=STATED)
    if proven:
        return proven
    if count == 1:
        return Meaning("tensor", reason=_UNKNOWN_NUMBER)
    # A vector of length 1 is an embedding.
    if _may_be_sigmoid(last, values) and not _all_one(np.linalg.norm(values, axis=1)):
        return Meaning("sigmoid", reason="they are between 0 and 1 and do not sum to one")
    return replace(LOGITS, reason=named_by) if named_by else Meaning("tensor", reason=_UNKNOWN.format(count=count))


def last_operation(network: ServedNetwork, inputs: Tensors, output: str) -> str:
    """Return the name of the operation that makes an output, such as "softmax"; "" if the name cannot be found.

    Views, casts and averages are skipped. The network is run once on `inputs`, {input: array}, unless it is a graph in
    a file.
    """
    if isinstance(network.network, GraphNetwork):
        return network.network.last_operation(network.network.own_outputs(network.names)[output])
    try:
        operations = _recorded(network, inputs, output)
    except Exception:  # compiled code, and calls into other libraries, cannot always be observed
        traceback.print_exc()
        return ""
    tensor = operations.pop()
    name = ""
    while operations:
        operation, arguments, result = operations.pop()
        if not any(made is tensor for made in (result if isinstance(result, tuple | list) else [result])):
            continue
        name = _ALIASES.get(operation.strip("_"), operation.strip("_"))
        if name not in _TRANSPARENT:
            # 0.5 + 0.5 * tanh(x) is a sigmoid and adds a number; an added tensor is often a bias.
            adds_number = name == "add" and not all(isinstance(argument, torch.Tensor) for argument in arguments)
            return "add a number" if adds_number else name
        tensor = next((argument for argument in arguments if isinstance(argument, torch.Tensor)), None)
    return name


def _recorded(network: ServedNetwork, inputs: Tensors, output: str) -> list:
    """Return the last operations of a run as [(name, arguments, result)], and as a last entry the output's tensor."""
    done: collections.deque[tuple] = collections.deque(maxlen=_REMEMBERED)

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
            result = function(*args, **(kwargs or {}))
            done.append((function.overloadpacket.__name__, args, result))
            return result

    with Recorder():
        answers = network.run(inputs)
    return [*done, answers[output]]


def _why_no_scores(last: str, values: np.ndarray) -> tuple[str, str] | None:
    """Return (problem, remedy) in words if values (N, classes) cannot be class scores, else None.

    `last` is the name of the network's last operation, as `last_operation` returns it.
    """
    count, sums, steps = values.shape[1], values.sum(axis=1), np.diff(values, axis=1)
    in_order = count >= _SORTED_BY_CHANCE and steps.any() and ((steps <= 0).all() or (steps >= 0).all())
    if last in ("topk", "sort") or in_order:
        problem = f"the {count} outputs are sorted by size in every answer, so their places do not tell their classes"
        return problem, "return the scores as they are, without topk or sort"
    if last != "softmax" and count > 1 and np.isin(values, (0, 1)).all() and (sums == 1).all():
        problem = "each answer is a single 1 among zeros: a class that was decided, not the scores of the classes"
        return problem, "return these scores"
    if last in _SOFTMAX and not _sum_to_one(np.exp(values) if last == "log_softmax" else values):
        problem = f"the network ends in a {last} that is not over its {count} outputs, since they do not sum to one"
        return problem, "take it over dimension 1"
    if last.startswith("log_sigmoid"):
        problem = "the network ends in a log-sigmoid, of which neither softmax nor sigmoid makes probabilities"
        return problem, "leave it out"
    if count == 1 or last in (*_SOFTMAX, "sigmoid"):
        return None
    for name, factor in _OTHER_LOGARITHMS.items():
        with np.errstate(over="ignore"):
            is_logarithm = _sum_to_one(np.exp(factor * values))
        if is_logarithm:
            problem = f"the {count} outputs are logarithms of probabilities ({name}), of which softmax makes others"
            return problem, "return log_softmax or logits"
    # If the sums vary far less than the values, this is no coincidence.
    has_one_sum = (values >= 0).all() and np.ptp(sums) < _SHARES * variation(values) * sums[0]
    if has_one_sum and (last == "add" or last not in _UNBOUNDED) and not _all_one(sums):
        problem = f"the {count} outputs are never negative and sum to {sums[0]:g} in every answer: shares of that"
        return problem, "divide them by it, which makes probabilities of them"
    return None


def _proven_meaning(last: str, values: np.ndarray) -> Meaning | None:
    """Return the meaning that the last operation or the values (N, classes) prove; None without a proof."""
    if last == "softmax":
        return Meaning("probabilities", reason="the network ends in a softmax")
    if last == "log_softmax":
        return replace(LOGITS, reason="the network ends in a log_softmax, which softmax undoes")
    if last == "sigmoid":
        return Meaning("sigmoid", reason="the network ends in a sigmoid")
    if values.shape[1] > 1 and _sum_to_one(values):
        return Meaning("probabilities", reason="they are never negative and sum to one in every answer")
    return None


def _require_no_contradiction(stated: str, proven: Meaning | None, values: np.ndarray, key: str) -> None:
    says = f"config.yaml says `{key}: {stated}`, but"
    if values.shape[1] == 1 and stated in ("logits", "probabilities"):
        raise SlipwayError(
            f"{says} the model has a single output, whose softmax is always 100 %; say `{key}: sigmoid` for a yes or "
            f"no, `{key}: tensor` for any other number"
        )
    if stated == "probabilities" and (proven is None or proven.kind != stated):
        sums = values.sum(axis=1)
        raise SlipwayError(
            f"{says} the outputs do not sum to one: their sums are {sums.min():.3g} to {sums.max():.3g}, the values "
            f"{values.min():.3g} to {values.max():.3g}; say `{key}: {proven.kind if proven else 'logits'}`, or "
            f"`{key}: tensor` for numbers that are no class scores, or add the softmax to the network"
        )
    if proven and proven.kind != stated:
        raise SlipwayError(
            f"{says} the outputs are {proven.in_words}: {proven.reason}; say `{key}: {proven.kind}`, or leave it out"
        )


def _sum_to_one(values: np.ndarray) -> bool:
    return bool((values >= 0).all() and _all_one(values.sum(axis=1)))


def _all_one(numbers: np.ndarray) -> bool:
    return np.allclose(numbers, 1.0, rtol=0, atol=SUM_TOLERANCE)


def _may_be_sigmoid(last: str, values: np.ndarray) -> bool:
    """Return whether values may be the results of a sigmoid: all are from 0 to 1, and the last operation allows it.

    `last` is the network's last operation. It must not have unbounded results, as those in `_UNBOUNDED` have.
    """
    return last not in _UNBOUNDED and bool((values >= 0).all() and (values <= 1).all())
