"""Make a new engine by the fastest strategy that succeeds: a refit, a build with the timing cache, a build without it.

The gates (see gates.py) compare the new engine with PyTorch's outputs and with the existing engine's speed. The build
record is the JSON that build_engine.py writes about an engine. `head` has those of its entries that are known before
the build: the build key (the settings and the SHA-256 of the ONNX file), the digest of the code, and the two digests of
the ONNX graph (see `onnx_structure.digests`).
"""

import argparse
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.engines.gates import Findings, judge, limits_of, seconds_since, why_no_proof
from slipway.engines.recorded_engine import RecordedEngine
from slipway.runtimes import engine_files

# {precision: other precisions in which some layers may run}; most compute layers must have the engine's precision.
TOLERATED: dict[str, set[str]] = {
    "fp32": set(),
    "fp16": {"fp32"},
    "bf16": {"fp32"},
    "int8": {"fp16", "fp32"},
    "fp8": {"fp16", "fp32"},
}
# The strategies' names in records. The last three are builds with a timing cache of all, some or no kernels.
REFIT, CACHED, PARTLY_CACHED, COLD = "refit", "timing cache", "timing cache in part", "cold"
IN_WORDS = {
    REFIT: "refitted",
    CACHED: "built with the timing cache",
    PARTLY_CACHED: "built, in part with the timing cache",
    COLD: "built",
}


@dataclass(frozen=True)
class Job:
    """A job that makes one engine.

    `arguments` are the options of build_engine.py. `module` is the runtime, a module of slipway.runtimes, and `options`
    are those of its `build`. `head` has the entries of the build record that are known before the build. `previous` is
    the existing engine, or None. `limits` are `accuracy.limits` of the precision, or None.

    `why_no_gates` is the reason why the new engine is not compared with the existing one. `why_no_refit` is the reason
    why the existing engine is not refitted. Each is None if there is no such reason.
    """

    arguments: argparse.Namespace
    module: ModuleType
    options: dict
    head: dict
    previous: RecordedEngine | None
    limits: dict[str, float] | None
    why_no_gates: str | None
    why_no_refit: str | None

    @property
    def existing(self) -> RecordedEngine:
        """Return the existing engine. The job must have one."""
        assert self.previous is not None
        return self.previous

    def judge(self, engine: Path) -> Findings:
        """Return the findings of the gates for a new engine, which decide whether it may replace the existing one."""
        return judge(self.module, self.arguments, self.limits, self.existing.path, engine)


@dataclass(frozen=True)
class Attempt:
    """One attempt to make an engine: its strategy and duration without the gates, and the findings of the gates.

    `strategy` is one of the names in IN_WORDS. `facts` are the entries for the build record that the runtime's `build`
    or `refit` returned; {} after a failed refit.
    """

    strategy: str
    facts: dict
    seconds: float
    findings: Findings


def job_of(arguments: argparse.Namespace, module: ModuleType, head: dict) -> Job:
    """Return the Job for the options of build_engine.py. `module` is the runtime that builds the engine.

    `head` has the entries of the build record that are known before the build, as `head_of` of build_engine.py returns.
    """
    options, limits = head["key"].get("builder", {}), limits_of(arguments.limits)
    previous = previous_engine(arguments.record, engine_files(arguments.runtime, arguments.engine))
    why_no_gates: str | None = "only TensorRT's engines are compared with those that they replace"
    if arguments.runtime == "tensorrt":
        why_no_gates = why_not_comparable(previous, head)
    why_no_refit: str | None = "`tensorrt.refit` is off"
    if options.get("refit"):
        why_no_refit = why_no_gates or why_no_proof(arguments.reference, limits)
        if previous and why_no_refit is None:
            why_no_refit = why_not_to_refit(previous.record, head)
    return Job(arguments, module, options, head, previous, limits, why_no_gates, why_no_refit)


def make(job: Job, path: Path) -> list[Attempt]:
    """Make the engine at `path` by the fastest strategy that passes the gates. Return all attempts, that engine's last.

    The gates are comparisons with PyTorch's outputs and with the existing engine's speed. The strategies are tried in
    order. A cold build, without the timing cache, is the last: its engine is used even if it fails the gates.
    """
    attempts = []
    if job.why_no_refit is None:
        attempts.append(refit(job, path))
        if not attempts[-1].findings.refused:
            return attempts
        report_refusal(attempts[-1], "building it instead")
    attempts.append(build(job, path))
    if attempts[-1].findings.refused and attempts[-1].strategy != COLD:
        report_refusal(attempts[-1], "measuring every kernel anew")
        attempts.append(build(job, path, anew=True))
    if attempts[-1].findings.refused:
        report_refusal(attempts[-1], "taken all the same, since no other way is left")
    return attempts


def refit(job: Job, path: Path) -> Attempt:
    """Write to `path` the existing engine with the new weights, and run the gates. Return the attempt.

    The gates compare the new engine with PyTorch's outputs and with the existing engine's speed. If the refit fails, or
    if the accuracy cannot be checked, `refused` in the attempt's findings has the reason.
    """
    start = time.perf_counter()
    try:
        facts = job.module.refit(job.arguments.onnx, job.existing.path, path)
        require_precision(job.arguments.precision, facts["layers"], facts.get("unread_layers"))
    except (ValueError, SlipwayError) as error:
        return Attempt(REFIT, {}, seconds_since(start), Findings(refused=str(error)))
    seconds = seconds_since(start)
    findings = job.judge(path)
    if findings.not_judged_reason and not findings.refused:
        findings = replace(findings, refused=f"it could not be proven ({findings.not_judged_reason})")
    unchanged = {name: job.existing.record[name] for name in ("strongly_typed", "builder", "tensors")}
    return Attempt(REFIT, {**facts, **unchanged}, seconds, findings)


def build(job: Job, path: Path, anew: bool = False) -> Attempt:
    """Build the engine at `path`, and run the gates. Return the attempt.

    The gates compare the new engine with PyTorch's outputs and with the existing engine's speed. With `anew`, the
    content of the timing cache is ignored. Raises SlipwayError if the build fails, or if the layers do not run in the
    requested precision.
    """
    options = {**job.options, "timing_cache": job.arguments.timing_cache, "measure_anew": anew}
    start = time.perf_counter()
    try:
        facts = job.module.build(job.arguments.onnx, path, job.arguments.precision, options)
    except ValueError as error:
        raise SlipwayError(str(error)) from None
    seconds = seconds_since(start)
    require_precision(job.arguments.precision, facts["layers"], facts.get("unread_layers"))
    findings = Findings(not_judged_reason=job.why_no_gates) if job.why_no_gates else job.judge(path)
    return Attempt(strategy_of(facts.get("timing_cache")), facts, seconds, findings)


def strategy_of(timing_cache: dict | None) -> str:
    """Return COLD for a build without a timing cache, CACHED if the cache had all kernels, else PARTLY_CACHED.

    `timing_cache` is the dict of `timing_cache.attached`; None if there is no file for a timing cache.
    """
    if not timing_cache or not timing_cache["bytes_before"]:
        return COLD
    return CACHED if timing_cache["everything_was_known"] else PARTLY_CACHED


def build_history(job: Job, attempts: list[Attempt]) -> dict:
    """Return the entries of the build record about the attempts at this build and the time that it saved.

    "way": the strategy that made the engine. "attempts": [{"way", "seconds", and the fields of Findings}].
    "not_refitted_reason": text, or None after a refit was tried. "spent_seconds": the time of all attempts and gates.
    "first_build": {"way", "seconds"} of the last cold build of this network with these settings, or else of its first
    build, which was faster if other engines had already filled the timing cache; None if unknown. "saved_seconds" and
    "share_of_first_build" (1 = as long) compare "spent_seconds" with "first_build"; None without one.
    """
    final = attempts[-1]
    spent = sum(attempt.seconds + attempt.findings.gate_seconds for attempt in attempts)
    # The `refit` setting may differ: it hardly changes the build time.
    incomparable = why_not_comparable(job.previous, job.head, but_for_refit=True)
    first = None if incomparable else job.existing.record.get("first_build")
    if final.strategy == COLD or (final.strategy == PARTLY_CACHED and first is None):
        first = {"way": final.strategy, "seconds": final.seconds}
    return {
        "way": final.strategy,
        "attempts": [
            {"way": attempt.strategy, "seconds": attempt.seconds, **asdict(attempt.findings)} for attempt in attempts
        ],
        "not_refitted_reason": job.why_no_refit,
        "first_build": first,
        "spent_seconds": round(spent, 3),
        "saved_seconds": round(first["seconds"] - spent, 3) if first else None,
        "share_of_first_build": round(spent / max(first["seconds"], 0.001), 4) if first else None,
    }


def report_refusal(attempt: Attempt, next_step: str) -> None:
    """Print why the gates refused the engine of an attempt, and how the job continues.

    `next_step` states this as a clause, such as "building it instead".
    """
    progress(
        f"  {attempt.strategy}: refused after {attempt.seconds:.1f} s, since {attempt.findings.refused}; {next_step}"
    )


def require_precision(precision: str, layers: dict[str, int], unread: list[str] | None = None) -> None:
    """Raise SlipwayError unless more than half of the compute layers really run in the requested precision.

    The others may only run in the precisions that TOLERATED allows beside it. `layers` is {precision: number of compute
    layers}. Only a message is printed if no layer's precision is known: there are no layers, all are "fused", or the
    runtime's texts about the layers, `unread`, could not be read.
    """
    if not set(layers) - {"fused", "unknown"} and (unread or "fused" in layers or not layers):
        where = "`unread_layers` in the build record, could not be read"
        text = f"; its text about {len(unread)} layers, {where}" if unread else ""
        progress(f"  nothing proves that it computes in {precision}: the runtime names no layer that does{text}")
        return
    # A layer of unknown precision proves nothing. So more than half of the layers must have the requested precision.
    unexpected = set(layers) - {precision, "unknown"} - TOLERATED[precision]
    if unexpected or layers.get(precision, 0) <= sum(layers.values()) / 2:
        raise SlipwayError(
            f"the engine should compute in {precision}, but its compute layers run in {layers}: on this hardware "
            "the runtime has no kernels of that precision for them, or cannot fuse their Q/DQ nodes; "
            f"remove {precision} from `targets.*.precisions` in config.yaml"
        )


def previous_engine(record: Path, files: list[Path]) -> RecordedEngine | None:
    """Return the engine of a build record; None unless it is intact and lies at `files`, the new engine's paths."""
    try:
        built = RecordedEngine.of_record(record)
    except (SlipwayError, KeyError):
        return None
    return built if built.files == files and "key" in built.record else None


def is_current(previous: RecordedEngine | None, head: dict) -> bool:
    """Return whether the existing engine can be kept: it was built with the same build key and by the same code.

    `previous` is the existing engine; None if there is none. `head` has the first entries of the new build record.
    """
    return previous is not None and all(previous.record.get(name) == head[name] for name in ("key", "code_sha256"))


def why_not_comparable(previous: RecordedEngine | None, head: dict, but_for_refit: bool = False) -> str | None:
    """Return the reason why the speeds of the existing and the new engine cannot be compared, else None.

    `previous` is the existing engine; None if there is none. `head` has the first entries of the new engine's build
    record. With `but_for_refit`, the engines may differ in the setting `tensorrt.refit`.
    """
    if previous is None:
        return "no whole engine was there before"
    if _settings(previous.record["key"], but_for_refit) != _settings(head["key"], but_for_refit):
        return "the engine that was there was built with other settings, by another version or on other hardware"
    if not head["topology_sha256"] or previous.record.get("topology_sha256") != head["topology_sha256"]:
        return "the engine that was there is of another network"
    return None


def why_not_to_refit(record: dict, head: dict) -> str | None:
    """Return the reason why an existing engine cannot take the new weights, else None.

    `record` is the build record of the existing engine. `head` has the first entries of the new engine's build record.
    Call it only if `why_not_comparable` returned None for the two.
    """
    if record.get("structure_sha256") != head["structure_sha256"]:
        return "more than weights changed in the ONNX file, such as the scales of INT8, which are built into an engine"
    if record.get("code_sha256") != head["code_sha256"]:
        return "the code that builds engines changed"
    return record.get("not_refittable_reason", "its record does not say whether it takes new weights")


def _settings(key: dict, but_for_refit: bool) -> dict:
    settings = {name: value for name, value in key.items() if name != "onnx_sha256"}
    return {**settings, "builder": {**settings.get("builder", {}), "refit": None}} if but_for_refit else settings
