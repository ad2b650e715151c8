"""What a new engine has to hold before it replaces the one that is there: PyTorch's answers, and the other's speed."""

import json
import math
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from slipway.benchmark.agreement import compare, violations
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning


@dataclass(frozen=True)
class Findings:
    """What the gates found of one engine; `refused` says in words what it does not hold."""

    accuracy: dict | None = None
    speed: list[dict] | None = None
    speed_ratio: float | None = None  # of the new engine's time to the other's, at the batch where it is largest
    not_judged_because: str | None = None
    refused: str | None = None
    gate_seconds: float = 0.0

    def record(self) -> dict:
        """Return what a build record says of it."""
        return asdict(self)


@dataclass(frozen=True)
class Gates:
    """The engine to compare with, PyTorch's answers, and the limits."""

    module: ModuleType  # of slipway.runtimes.tensorrt
    precision: str
    previous: Path
    max_slowdown: float  # share of the other engine's time by which the new one may take longer
    golden: Path | None  # what reference_outputs.py wrote
    limits: dict[str, float] | None  # `accuracy.limits` of the precision

    @property
    def why_no_proof(self) -> str | None:
        """Return why nothing tells whether an engine's answers are right; None when PyTorch's are there."""
        return None if self.golden and self.limits else "no golden logits and limits were given to prove the answers by"

    def judge(self, engine: Path) -> Findings:
        """Run an engine beside the one that it would replace, and say what it does not hold."""
        start = time.perf_counter()
        try:
            images, reference, meaning = self._golden()
            tried = self.module.trial(self.previous, engine, self.precision, images)
            accuracy = None if images is None else compare(reference, tried["logits"], meaning)
        except Exception as error:  # a GPU's library has no common class for what it cannot do
            traceback.print_exc()
            progress(f"  it could not be compared with the engine that it would replace: {error}")
            return Findings(not_judged_because=f"{type(error).__name__}: {error}", gate_seconds=_since(start))
        ratio = max(found["ratio"] for found in tried["speed"])
        problems = [
            *(violations(accuracy, self.limits) if accuracy else []),
            *(_slow(found, self.max_slowdown) for found in tried["speed"] if found["ratio"] > 1 + self.max_slowdown),
        ]
        return Findings(
            accuracy=accuracy and {name: _finite(value) for name, value in accuracy.items()},
            speed=tried["speed"],
            speed_ratio=ratio,
            not_judged_because=self.why_no_proof,
            refused="; ".join(problems) or None,
            gate_seconds=_since(start),
        )

    def _golden(self) -> tuple[np.ndarray | None, np.ndarray | None, Meaning | None]:
        """Return the images (N, 3, H, W) whose answers (N, values) PyTorch gave, what those mean; None if not known."""
        if self.why_no_proof:
            return None, None, None
        golden = np.load(self.golden)
        pairs = [("input", "logits"), ("variations", "variation_logits")]
        known = [pair for pair in pairs if pair[0] in golden.files]
        images, logits = (np.concatenate([golden[pair[side]] for pair in known]) for side in (0, 1))
        return images, logits, Meaning.of_golden(golden)


def limits_of(text: str | None) -> dict[str, float] | None:
    """Return the limits that are given as JSON; raise SlipwayError when they are not a precision's."""
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


def _slow(found: dict, allowed: float) -> str:
    return (
        f"a batch of {found['batch']} takes it {found['new_ms']:.4g} ms on the GPU, {found['ratio'] - 1:.1%} more than "
        f"the {found['previous_ms']:.4g} ms of the engine that it would replace (allowed {allowed:.1%})"
    )


def _finite(value: float) -> float | None:
    """Return a figure, or None for one that JSON cannot hold."""
    return value if math.isfinite(value) else None


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
