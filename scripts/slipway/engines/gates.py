"""The gates for a new engine: a comparison with PyTorch's outputs, and with the existing engine's speed."""

import argparse
import json
import math
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from slipway.benchmark.agreement import compare_requests, violations
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError


@dataclass(frozen=True)
class Findings:
    """The findings of the gates about one new engine.

    `accuracy`: the figures of `agreement.compare_requests`; None if they were not computed. `speed`: the list "speed"
    of `comparing.trial`. `speed_ratio`: the new engine's time / the existing engine's time, at the batch with the
    largest ratio. `not_judged_reason`: the reason why a comparison was not made. `refused`: the failed comparisons, in
    words; None if there are none. `gate_seconds`: the duration of the comparisons.
    """

    accuracy: dict | None = None
    speed: list[dict] | None = None
    speed_ratio: float | None = None
    not_judged_reason: str | None = None
    refused: str | None = None
    gate_seconds: float = 0.0


def why_no_proof(reference: Path | None, limits: dict[str, float] | None) -> str | None:
    """Return the reason why the accuracy of an engine cannot be checked; None if both arguments are given.

    `reference` is the file with PyTorch's outputs. `limits` are `accuracy.limits` of the precision.
    """
    return None if reference and limits else "no reference outputs and limits were given to judge by"


def judge(
    module: ModuleType, arguments: argparse.Namespace, limits: dict[str, float] | None, previous: Path, engine: Path
) -> Findings:
    """Compare a new engine with PyTorch's outputs and with the `previous` engine's speed, and return the findings.

    `module` is the runtime. `previous` and `engine` are the files of the existing and the new engine. `arguments` are
    the options of build_engine.py. `limits` are `accuracy.limits` of the precision; None if there are none, and then
    only the speeds are compared.
    """
    start = time.perf_counter()
    unproven, slowdown = why_no_proof(arguments.reference, limits), arguments.max_slowdown
    try:
        reference = None if unproven else ReferenceOutputs.read(arguments.reference)
        tried = module.trial(previous, engine, reference and reference.inputs)
        accuracy = reference and compare_requests(reference.outputs, tried["outputs"], reference.contract)
    except Exception as error:  # the GPU libraries have no common class for their errors
        traceback.print_exc()
        progress(f"  it could not be compared with the engine that it would replace: {error}")
        return Findings(not_judged_reason=f"{type(error).__name__}: {error}", gate_seconds=seconds_since(start))
    problems = [
        *(violations(accuracy, limits) if accuracy and limits else []),
        *(_slow(speed, slowdown) for speed in tried["speed"] if speed["ratio"] > 1 + slowdown),
    ]
    return Findings(
        accuracy=only_finite(accuracy),
        speed=tried["speed"],
        speed_ratio=max(speed["ratio"] for speed in tried["speed"]),
        not_judged_reason=unproven,
        refused="; ".join(problems) or None,
        gate_seconds=seconds_since(start),
    )


def only_finite(figures: Any) -> Any:
    """Prepare figures for JSON: return them with None in place of NaN and infinities, which JSON does not have.

    `figures` is the dict of `agreement.compare_requests`, or one of its values.
    """
    if isinstance(figures, dict):
        return {name: only_finite(value) for name, value in figures.items()}
    return None if isinstance(figures, float) and not math.isfinite(figures) else figures


def limits_of(text: str | None) -> dict[str, float] | None:
    """Return the limits of an engine's accuracy, {limit: number}, from JSON text; None without a text.

    Raises SlipwayError unless the text has the keys "min_cosine", "max_relative_error" and "min_top1_agreement".
    """
    if text is None:
        return None
    needed = {"min_cosine", "max_relative_error", "min_top1_agreement"}
    try:
        limits = json.loads(text)
        missing = needed - set(limits)
    except (ValueError, TypeError) as error:
        raise SlipwayError(f"--limits is not a JSON object ({error}); give `accuracy.limits.<precision>`") from None
    if missing:
        raise SlipwayError(f"--limits lacks {', '.join(sorted(missing))}; give `accuracy.limits.<precision>` as JSON")
    return limits


def _slow(speed: dict, allowed: float) -> str:
    return (
        f"a batch of {speed['batch']} takes it {speed['new_ms']:.4g} ms on the GPU, {speed['ratio'] - 1:.1%} more than "
        f"the {speed['previous_ms']:.4g} ms of the engine that it would replace (allowed {allowed:.1%})"
    )


def seconds_since(start: float) -> float:
    """Return the seconds, rounded, since `start`, a value of `time.perf_counter`."""
    return round(time.perf_counter() - start, 3)
