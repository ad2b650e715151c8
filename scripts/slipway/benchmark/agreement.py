"""Compare a model's answers with PyTorch's answers, output by output."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from slipway.classification.score_figures import agreement_of_decisions
from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError

_INT32 = np.iinfo(np.int32)
# {figure: function that returns the worst of several values}. The worst value of any other figure is the lowest.
_WORST: dict[str, Callable] = {"max_abs_error": max, "relative_error": max, "overflowed": max, "finite": all}


def compare(reference: Tensors, outputs: Tensors, contract: Contract) -> dict:
    """Compare the answer to one request with PyTorch's, `reference`. Return the figures of `compare_requests`."""
    return compare_requests([reference], [outputs], contract)


def compare_requests(references: Sequence[Tensors], answers: Sequence[Tensors], contract: Contract) -> dict:
    """Return figures of how well the answers to requests agree with PyTorch's answers `references`.

    The meaning of an output, which the contract states, decides which figures it gets. `relative_error`: the Frobenius
    norm of the difference / the norm of the reference. `max_abs_error`: the largest difference of one value.
    `min_cosine`: the smallest cosine similarity of the two answers to one sample; it is absent for outputs that mean
    `tensor`. `top1_agreement`, `decision_agreement`: see `agreement_of_decisions`. `equal_values`: the share (0..1) of
    equal values, the only comparison of integers and booleans. `overflowed`: the number of integers beyond 32 bits
    whose answers are within 32 bits; it is absent without such integers. `other_sizes`: both shapes in words, if sizes
    that depend on the values differ; such an output gets no other comparison.

    Each figure is the worst of all outputs. The key "outputs" has {output: its figures}. Raises SlipwayError if an
    answer lacks an output, or if a fixed size differs.
    """
    by_output = {
        tensor.name: _figures(tensor, *_of_output(tensor.name, references, answers)) for tensor in contract.outputs
    }
    names = dict.fromkeys(name for figures in by_output.values() for name in figures)
    worst = {
        name: _WORST.get(name, min)(figures[name] for figures in by_output.values() if name in figures)
        for name in names
    }
    return {**worst, "outputs": by_output}


def violations(figures: dict, limits: dict[str, float]) -> list[str]:
    """Return a sentence for each limit of `accuracy.limits` that an output's figures violate; [] if none is violated.

    `figures` are from `compare`. `limits` are {"min_cosine", "max_relative_error", "min_top1_agreement"}. If there are
    several outputs, each sentence begins with the output's name. An output is not checked against a limit if it lacks
    the figure. "min_top1_agreement" also limits `equal_values`, the share of equal values of an integer or boolean
    output.
    """
    by_output = figures["outputs"]
    return [
        f"{output}: {problem}" if len(by_output) > 1 else problem
        for output, of_output in by_output.items()
        for problem in _violations(of_output, limits)
    ]


def figures_in_words(figures: dict) -> str:
    """Return the worst figures of all outputs in words, such as "cosine 0.999998, relative error 1.2e-07".

    `figures` are from `compare`.
    """
    words = {
        "min_cosine": "cosine {:.6f}",
        "relative_error": "relative error {:.1e}",
        "equal_values": "equal values {:.4%}",
        "other_sizes": "outputs of other sizes than the model's own, which only a metric can judge",
    }
    return ", ".join(text.format(figures[name]) for name, text in words.items() if name in figures)


def _violations(figures: dict, limits: dict[str, float]) -> list[str]:
    checks = [
        ("min_cosine", "min_cosine", operator.ge, "below"),
        ("relative_error", "max_relative_error", operator.le, "above"),
        ("top1_agreement", "min_top1_agreement", operator.ge, "below"),
        ("decision_agreement", "min_top1_agreement", operator.ge, "below"),
        ("equal_values", "min_top1_agreement", operator.ge, "below"),
    ]
    problems = [
        f"{name} {figures[name]:.9g} is {word} the limit {limits[limit]:g}"
        for name, limit, holds, word in checks
        # NaN holds no limit.
        if name in figures and not holds(figures[name], limits[limit])
    ]
    if "overflowed" in figures:
        problems.append(
            f"{figures['overflowed']} integers beyond 32 bits are answered by other numbers, since the runtime "
            "computes int64 in int32 (OpenVINO on CPUs, TensorRT before 10): let the target have `runtime: onnxruntime`"
        )
    return problems


def _of_output(name: str, references: Sequence[Tensors], answers: Sequence[Tensors]) -> tuple[list, list]:
    if missing := [answer for answer in answers if name not in answer]:
        raise SlipwayError(f"the answer lacks the output {name}; it has {', '.join(missing[0]) or 'none'}")
    return [reference[name] for reference in references], [answer[name] for answer in answers]


def _figures(tensor: Tensor, references: list[np.ndarray], answers: list[np.ndarray]) -> dict:
    finite = all(bool(np.isfinite(answer).all()) for answer in answers)
    batched = tensor.shape[:1] == (BATCH,)
    samples = sum(len(reference) for reference in references) if batched else len(references)
    figures: dict[str, Any] = {"samples": samples, "finite": finite}
    pairs = list(zip(references, answers, strict=True))
    if others := [pair for pair in pairs if pair[0].shape != pair[1].shape]:
        return {**figures, "other_sizes": _only_where_unknown(tensor, *others[0])}
    if not np.issubdtype(references[0].dtype, np.inexact):
        return {**figures, "equal_values": _share_of_equal(pairs), **_overflowed(pairs)}
    if tensor.meaning is None or tensor.meaning.has_classes:
        figures |= _cosines(pairs, batched, finite)
    figures |= _errors(pairs, finite)
    if tensor.meaning and tensor.meaning.has_classes:
        figures |= agreement_of_decisions(tensor.meaning, pairs)
    return figures


def _only_where_unknown(tensor: Tensor, reference: np.ndarray, answer: np.ndarray) -> str:
    """Return both shapes in words, if they differ only in sizes that depend on the input's values.

    Raises SlipwayError if another size differs.
    """
    free = len(tensor.shape) == reference.ndim == answer.ndim and all(
        declared is None or one == other
        for declared, one, other in zip(tensor.shape, reference.shape, answer.shape, strict=True)
    )
    if not free:
        raise SlipwayError(
            f"the answer's output {tensor.name} has the shape {answer.shape}, the model's own has {reference.shape}"
        )
    return f"{answer.shape}, the model's own {reference.shape}"


def _share_of_equal(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    count = sum(one.size for one, _ in pairs)
    return sum(int((one == other).sum()) for one, other in pairs) / count if count else 1.0


def _overflowed(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, int]:
    """Count wrong integers that a runtime without int64 gives. Return {"overflowed": their number}; {} without any.

    They are answers within 32 bits, where PyTorch's answers are beyond 32 bits. A few such answers would be within the
    limit of `equal_values`, but they are wrong by more than rounding.
    """
    count = sum(int((_beyond_32_bits(reference) & ~_beyond_32_bits(answer)).sum()) for reference, answer in pairs)
    return {"overflowed": count} if count else {}


def _beyond_32_bits(values: np.ndarray) -> np.ndarray:
    return (values < _INT32.min) | (values > _INT32.max)


def _cosines(pairs: list[tuple[np.ndarray, np.ndarray]], batched: bool, finite: bool) -> dict[str, float]:
    if not finite:
        return {"min_cosine": -1.0, "mean_cosine": -1.0}
    cosines = np.concatenate([_cosines_of(_rows(one, batched), _rows(other, batched)) for one, other in pairs])
    return {"min_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}


def _cosines_of(reference: np.ndarray, answer: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(answer, axis=1)
    cosines = (reference * answer).sum(axis=1) / np.where(norms == 0, 1, norms)
    # Two zero vectors, or two empty vectors, have no direction. They agree.
    return np.where((reference == answer).all(axis=1) & (norms == 0), 1.0, cosines)


def _rows(array: np.ndarray, batched: bool) -> np.ndarray:
    """Return an output as float64 with shape (N, values): one vector for each of the N samples."""
    count = len(array) if batched else 1
    return array.astype(np.float64).reshape(count, math.prod(array.shape[1:]) if batched else array.size)


def _errors(pairs: list[tuple[np.ndarray, np.ndarray]], finite: bool) -> dict[str, float]:
    if not finite:
        return {"max_abs_error": float("inf"), "relative_error": float("inf")}
    differences = [reference.astype(np.float64) - answer.astype(np.float64) for reference, answer in pairs]
    error = math.sqrt(sum(float(np.square(difference).sum()) for difference in differences))
    size = math.sqrt(sum(float(np.square(reference.astype(np.float64)).sum()) for reference, _ in pairs))
    relative = error / size if size else (0.0 if error == 0 else float("inf"))
    largest = max((float(np.abs(difference).max(initial=0)) for difference in differences), default=0.0)
    return {"max_abs_error": largest, "relative_error": relative}
