"""Answer three questions about the engine that is served: is it right, is it fast, how busy may it be."""

from slipway.benchmark import metric
from slipway.benchmark.agreement import figures_in_words
from slipway.benchmark.comparison import PYTORCH
from slipway.benchmark.timing import disturbance
from slipway.classification.reporting import proof_in_words
from slipway.load_test.limits import configuration_in_words
from slipway.report.measurements import Measurements, Target

# "open": the measurements do not decide it.
YES, NO, OPEN = "yes", "no", "open"
# The state of an answer, and the answer in one sentence.
Verdict = tuple[str, str]


def answers(target: Target, evidence: Measurements) -> dict[str, Verdict]:
    """Return the answer to each question about the engine and the configuration chosen on a target."""
    return {
        "Is it right?": is_it_right(target, evidence),
        "Is it fast?": is_it_fast(target, evidence),
        "How busy may it be?": how_busy_may_it_be(target),
    }


def is_it_right(target: Target, evidence: Measurements) -> Verdict:
    """Return the verdict on the engine's agreement with PyTorch: "yes" or "open".

    It is "yes" only if a task's truth or limits of the user's metric prove it, without warnings, and if the weights are
    trained.
    """
    accuracy = target.chosen.accuracy
    proofs = [proof_in_words(accuracy["evaluation"])] if accuracy["proven_on_labels"] else []
    if accuracy.get("metric"):
        engine, pytorch = (metric.in_words(accuracy["metric"][name]) for name in ("engine", "pytorch"))
        proofs.append(f"{engine} (PyTorch: {pytorch})")
    if proofs:
        text = "; ".join(proofs)
        if evidence.warnings:
            return OPEN, f"{text}; but {'; '.join(evidence.warnings)}"
        proven = accuracy["proven_on_labels"] or accuracy["key"].get("metric_limits")
        return YES if proven and not evidence.is_rehearsal else OPEN, text
    weak = accuracy.get("variation", {}).get("weakness")
    text = (
        f"it repeats PyTorch's answer to {evidence.words.first} ({figures_in_words(accuracy['sample'])}); without "
        f"{evidence.words.proof} nothing more is proven"
    )
    return OPEN, f"{text}; {weak}" if weak else text


def is_it_fast(target: Target, evidence: Measurements) -> Verdict:
    """Return the verdict on the served engine's speed relative to PyTorch's in the same job.

    It is "yes" if the latency is lower than PyTorch's, and "open" if the measurement was disturbed.
    """
    batched = evidence.contract.batched
    engine = target.chosen.precision
    measured = target.benchmark["tutorial"]["measured"][engine]
    latency = measured["latency_over_pytorch"]
    rate = target.benchmark["best_throughput_ratios"][engine][PYTORCH]
    smallest, best = (
        (f" at batch {target.benchmark['tutorial']['batch']}", " at the best batch") if batched else ("", "")
    )
    text = (
        f"{latency:.2f} of PyTorch's latency{smallest}, {rate:.2f} times its inferences/s{best}; "
        f"{measured['bytes_over_fp32_onnx']:.2f} of the FP32 ONNX file's size"
    )
    if disturbed := disturbance(target.benchmark["environment"]):
        return OPEN, f"{text}; but {disturbed}"
    return YES if latency < 1 else NO, text


def how_busy_may_it_be(target: Target) -> Verdict:
    """Return the verdict "yes" with the chosen configuration's throughput and latency under load, and its limits."""
    measured, limits = target.selection["measured"], target.selection["limits"]
    limit = f"at most {limits['p99_ms']:g} ms"
    memory = f", memory at most {limits['memory_mb']:g} MB" if limits["memory_mb"] else ""
    text = (
        f"{measured['throughput_per_s']:,.1f} requests/s through Triton at p99 {measured['p99_ms']:.1f} ms "
        f"({limit}{memory}) with {measured['concurrency']} in flight, {configuration_in_words(measured)}"
    )
    return YES, text
