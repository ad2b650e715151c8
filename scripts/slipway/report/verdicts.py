"""Answer the questions about the chosen configuration: is it right, is it fast, how busy may it be, is it live.

A verdict is (state, sentence). The state is "yes", "no", or "open" if the measurements do not decide the question. The
baseline is the model in PyTorch or ONNX Runtime.
"""

from itertools import takewhile

from slipway.benchmark import comparison, metric
from slipway.benchmark.agreement import figures_in_words
from slipway.benchmark.comparison import ratio_in_words
from slipway.benchmark.rounds import is_no_difference
from slipway.classification.reporting import proof_in_words
from slipway.core.steadiness import DISTURBED
from slipway.history.file import History
from slipway.history.lines import ROLLED_BACK, UNDEPLOYED, Deployment
from slipway.load_test.limits import configuration_in_words, is_disturbed
from slipway.report.formats import moment
from slipway.report.measurements import Measurements, Target

# "open": the measurements do not decide the question.
YES, NO, OPEN = "yes", "no", "open"
# The state of an answer, and the answer in one sentence.
Verdict = tuple[str, str]


def answers(target: Target, measurements: Measurements) -> dict[str, Verdict]:
    """Return {question: (state, sentence)} about the configuration chosen on a target, such as "Is it fast?".

    The states are YES, NO and OPEN.
    """
    return {
        "Is it right?": is_it_right(target, measurements),
        "Is it fast?": is_it_fast(target, measurements),
        "How busy may it be?": how_busy_may_it_be(target),
    }


def is_it_right(target: Target, measurements: Measurements) -> Verdict:
    """Return ("yes" or "open", sentence): whether the engine's answers agree with PyTorch's, as far as it is proven.

    It is "yes" only if the weights are trained, if the accuracy on samples with known answers or the limits of the
    user's metric prove the agreement, and if there are no warnings.
    """
    accuracy = target.chosen.accuracy
    proofs = [proof_in_words(accuracy["evaluation"])] if accuracy["proven_on_labels"] else []
    if accuracy["metric"]:
        engine, pytorch = (metric.in_words(accuracy["metric"][name]) for name in ("engine", "pytorch"))
        proofs.append(f"{engine} ({measurements.contract.baseline}: {pytorch})")
    if proofs:
        text = "; ".join(proofs)
        if measurements.warnings:
            return OPEN, f"{text}; but {'; '.join(measurements.warnings)}"
        proven = accuracy["proven_on_labels"] or accuracy["key"].get("metric_limits")
        return YES if proven and not measurements.is_rehearsal else OPEN, text
    text = (
        f"it repeats {measurements.contract.baseline}'s answer to {measurements.words.first} "
        f"({figures_in_words(accuracy['sample'])}); without {measurements.words.proof} nothing more is proven"
    )
    doubts = (accuracy["variation"]["weakness"], *accuracy["hidden_parts"])
    return OPEN, "; ".join(filter(None, (text, *doubts)))


def is_faster(target: Target) -> str:
    """Return "yes" if the served engine's latency is lower than the baseline's latency, "no" if it is higher.

    Return "open" if the measurement was disturbed, or shows no difference. The baseline is PyTorch or ONNX Runtime.
    """
    ratio = target.latency_ratio
    if ratio["verdict"] == DISTURBED or is_no_difference(ratio):
        return OPEN
    return YES if ratio["median"] < 1 else NO


def is_it_fast(target: Target, measurements: Measurements) -> Verdict:
    """Return (state, sentence): the served engine's speed relative to the baseline (PyTorch or ONNX Runtime).

    Both were measured in the same job. The state is that of `is_faster`.
    """
    engine, baseline, ratio = target.chosen, target.baseline, target.latency_ratio
    rate = target.benchmark["best_throughput_ratios"][engine.precision][baseline]
    rate_interval = target.benchmark["best_throughput_intervals"][engine.precision][baseline]
    is_batched = measurements.contract.batched
    smallest, best = (f" at batch {target.smallest_batch}", " at the best batch") if is_batched else ("", "")
    text = (
        f"{ratio_in_words(ratio['median'], ratio)} of {comparison.TITLES[baseline]}'s latency{smallest}, "
        f"{ratio_in_words(rate, rate_interval)} times its inferences/s{best}; "
        f"{engine.build['bytes'] / engine.build['onnx_bytes']:.2f} of the FP32 ONNX file's size"
    )
    if ratio["verdict"] == DISTURBED:
        text += "; but its rounds differ or are few: measure again on a quiet machine"
    return is_faster(target), text


def how_busy_may_it_be(target: Target) -> Verdict:
    """Return (state, sentence): throughput and latency of the chosen configuration under load, and its limits.

    The state is "yes", or "open" if the measurement was disturbed.
    """
    measured, limits = target.selection["measured"], target.selection["limits"]
    limited = [f"at most {limits['p99_ms']:g} ms"] if limits["p99_ms"] is not None else []
    limited += [f"memory at most {limits['memory_mb']:g} MB"] if limits["memory_mb"] else []
    allowed = f" ({', '.join(limited)})" if limited else ""
    text = (
        f"{measured['throughput_per_s']:,.1f} requests/s through Triton at p99 {measured['p99_ms']:.1f} ms"
        f"{allowed} with {measured['concurrency']} in flight, {configuration_in_words(measured)}"
    )
    if is_disturbed(measured):
        return OPEN, f"{text}; but other work disturbed the load test: test again on a quiet machine"
    return YES, text


def is_it_live(target: Target, history: History) -> Verdict:
    """Return (state, sentence): whether the chosen configuration is live, by the last deployment on each platform.

    The state is "yes", "open" if another version is live, or "no". A platform is a value of `deploy.to`. Whether the
    server still runs is unknown here: `snakemake status` asks the server.
    """
    latest = {change.platform: change for change in history.deployments}  # deployments are in the order of their times
    if own := [platform for platform, last in latest.items() if _serves(last, target)]:
        since = min(_since(history, platform, target) for platform in own)
        return YES, f"live since {moment(since)} ({' and '.join(map(_place, own))})"
    if others := [last for last in latest.values() if target.name in last.targets]:
        last = max(others, key=lambda change: change.order)
        how = "rolled back to" if last.action == ROLLED_BACK else "live is"
        return OPEN, f"not live: {how} another version since {moment(last.when)} ({_place(last.platform)})"
    ended = [last.when for last in latest.values() if last.action == UNDEPLOYED]
    return NO, f"not live: taken out of service on {moment(max(ended))}" if ended else "not live"


def _place(platform: str) -> str:
    return "on this machine" if platform == "local" else platform


def _serves(deployment: Deployment, target: Target) -> bool:
    return deployment.targets.get(target.name, {}).get("selection") == target.selection_sha256


def _since(history: History, platform: str, target: Target) -> str:
    """Return the time since which the chosen configuration is live on a platform without interruption."""
    changes = [change for change in reversed(history.deployments) if change.platform == platform]
    return list(takewhile(lambda change: _serves(change, target), changes))[-1].when
