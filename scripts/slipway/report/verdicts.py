"""Answer three questions about the engine to be served: is it right, is it fast, how busy may it be."""

from dataclasses import dataclass

from slipway.benchmark.comparison import PYTORCH
from slipway.benchmark.timing import disturbance
from slipway.report.measurements import Target

YES, NO, OPEN = "yes", "no", "open"


@dataclass(frozen=True)
class Verdict:
    """An answer in one sentence. `state` is "yes", "no", or "open" if the measurements do not decide it."""

    question: str
    state: str
    text: str


def answers(target: Target, is_rehearsal: bool, warnings: list[str]) -> list[Verdict]:
    """Return the answers for the engine and the configuration chosen on a target.

    `warnings` are the warnings about PyTorch's own accuracy.
    """
    return [is_it_right(target, is_rehearsal, warnings), is_it_fast(target), how_busy_may_it_be(target)]


def is_it_right(target: Target, is_rehearsal: bool, warnings: list[str]) -> Verdict:
    """Return the verdict on the engine's agreement with PyTorch. Without labelled photographs the verdict is "open"."""
    accuracy = target.chosen.accuracy
    question, agreement = "Is it right?", accuracy["sample"]
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
        f"it repeats PyTorch's answer to the sample photograph (relative error {agreement['relative_error']:.1e}, at "
        f"most {accuracy['limits']['max_relative_error']:g}); without labelled photographs nothing more is proven"
    )
    return Verdict(question, OPEN, f"{text}; {weak}" if weak else text)


def is_it_fast(target: Target) -> Verdict:
    """Return the served engine's latency and throughput relative to PyTorch's in the same job."""
    engine = target.chosen.precision
    measured = target.benchmark["tutorial"]["measured"][engine]
    latency = measured["latency_over_pytorch"]
    rate = target.benchmark["best_throughput_ratios"][engine][PYTORCH]
    text = (
        f"{latency:.2f} of PyTorch's latency at batch {target.benchmark['tutorial']['batch']}, {rate:.2f} times its "
        f"images/s at the best batch; {measured['bytes_over_fp32_onnx']:.2f} of the FP32 ONNX file's size"
    )
    if disturbed := disturbance(target.benchmark["environment"]):
        return Verdict("Is it fast?", OPEN, f"{text}; but {disturbed}")
    return Verdict("Is it fast?", YES if latency < 1 else NO, text)


def how_busy_may_it_be(target: Target) -> Verdict:
    """Return the throughput and latency of the chosen configuration under load, and its limits."""
    measured, limits = target.selection["measured"], target.selection["limits"]
    limit = f"at most {limits['p99_ms']:g} ms"
    memory = f", memory at most {limits['memory_mb']:g} MB" if limits["memory_mb"] else ""
    text = (
        f"{measured['throughput_per_s']:,.1f} requests/s through Triton at p99 {measured['p99_ms']:.1f} ms "
        f"({limit}{memory}) with {measured['concurrency']} in flight, {measured['instances']} instance(s), batches up "
        f"to {measured['max_batch_size']}"
    )
    return Verdict("How busy may it be?", YES, text)
