"""What whoever retrained a model asks, answered for what would be served: is it right, is it fast, how busy."""

from dataclasses import dataclass

from slipway.benchmark.comparison import PYTORCH
from slipway.benchmark.timing import disturbance
from slipway.report.measurements import Target

YES, NO, OPEN = "yes", "no", "open"


@dataclass(frozen=True)
class Verdict:
    """An answer in one sentence; `state` is "yes", "no", or "open" where nothing that was measured settles it."""

    question: str
    state: str
    text: str


def answers(target: Target, is_rehearsal: bool, warnings: list[str]) -> list[Verdict]:
    """Return the answers for the engine and the configuration that were chosen on a target.

    `warnings` are what the accuracy of PyTorch itself gives reason to look at.
    """
    return [is_it_right(target, is_rehearsal, warnings), is_it_fast(target), how_busy_may_it_be(target)]


def is_it_right(target: Target, is_rehearsal: bool, warnings: list[str]) -> Verdict:
    """Return how the served engine's answers compare with PyTorch's; labelled photographs alone settle it."""
    accuracy = target.chosen.accuracy
    question, found = "Is it right?", accuracy["sample"]
    if accuracy["proven_on_labels"]:
        labelled = accuracy["photographs"]
        text = (
            f"top-1 {labelled['engine']['top1']:.1%} on {labelled['labelled']} labelled photographs, PyTorch's "
            f"{labelled['pytorch']['top1']:.1%}"
        )
        if warnings:
            return Verdict(question, OPEN, f"{text}; but {'; '.join(warnings)}")
        return Verdict(question, OPEN if is_rehearsal else YES, text)
    weak = accuracy.get("variation", {}).get("weakness")
    text = (
        f"it repeats PyTorch's answer to the sample photograph (relative error {found['relative_error']:.1e}, at most "
        f"{accuracy['limits']['max_relative_error']:g}); without labelled photographs nothing more is proven"
    )
    return Verdict(question, OPEN, f"{text}; {weak}" if weak else text)


def is_it_fast(target: Target) -> Verdict:
    """Return the served engine's latency and throughput over those of PyTorch in the same job."""
    engine = target.chosen.precision
    measured = target.benchmark["tutorial"]["measured"][engine]
    latency = measured["latency_over_pytorch"]
    rate = target.benchmark["best_throughput_ratios"][engine][PYTORCH]
    text = (
        f"{latency:.2f} of PyTorch's latency at batch {target.benchmark['tutorial']['batch']}, {rate:.2f} times its "
        f"images/s at the best batch; {measured['bytes_over_fp32_onnx']:.2f} of the FP32 ONNX file's size"
    )
    disturbed = disturbance(target.benchmark["environment"])
    if disturbed:
        return Verdict("Is it fast?", OPEN, f"{text}; but {disturbed}")
    return Verdict("Is it fast?", YES if latency < 1 else NO, text)


def how_busy_may_it_be(target: Target) -> Verdict:
    """Return what the chosen configuration answered under load, within which limits."""
    chosen, limits = target.selection["measured"], target.selection["limits"]
    limit = f"at most {limits['p99_ms']:g} ms"
    memory = f", memory at most {limits['memory_mb']:g} MB" if limits["memory_mb"] else ""
    text = (
        f"{chosen['throughput_per_s']:,.1f} requests/s through Triton at p99 {chosen['p99_ms']:.1f} ms "
        f"({limit}{memory}) with {chosen['concurrency']} in flight, {chosen['instances']} instance(s), batches up to "
        f"{chosen['max_batch_size']}"
    )
    return Verdict("How busy may it be?", YES, text)
