"""The top of the page says what decides: faster, smaller, as right, and live."""

import pytest
from helpers.artifacts import reported, runs

from slipway.history.file import History
from slipway.history.lines import Deployment, Run
from slipway.report import headline
from slipway.report.measurements import read_measurements
from slipway.report.page import side_by_side
from slipway.report.verdicts import is_it_live

SINCE = "2026-11-29T12:03:00Z"


@pytest.fixture
def measurements(tmp_path):
    return read_measurements(reported.write_records(tmp_path), reported.ENGINES, reported.VARIANTS, evaluated=True)


def target_of(measurements, name):
    return next(target for target in measurements.targets if target.name == name)


def changed(target, when=SINCE, action="deployed", platform="local", selection=None):
    """Return a change of what is live, by default to what was chosen on a target."""
    served = {} if action == "undeployed" else {target.name: {"selection": selection or target.selection_sha256}}
    return Deployment({"when": when, "action": action, "platform": platform, "number": 1, "targets": served})


def test_the_verdict_has_speed_size_accuracy_and_liveness(measurements):
    verdict = headline.verdict(target_of(measurements, "l4"), measurements)
    assert verdict == [
        ("yes", "4 times as fast as PyTorch"),
        ("yes", "50% smaller"),
        ("yes", "accuracy kept (84.8% against 85.2%, within the noise)"),
        ("no", "not live"),
    ]


@pytest.mark.parametrize(
    ("ratio", "interval", "expected"),
    [
        (0.25, {"low": 0.2, "high": 0.4, "verdict": "steady"}, ("yes", "4 times (2.5 to 5) as fast as PyTorch")),
        (0.356, {"low": 0.354, "high": 0.359, "verdict": "steady"}, ("yes", "2.8 times as fast as PyTorch")),
        (1.0, {"low": 0.9, "high": 1.1, "verdict": "steady"}, ("open", "as fast as PyTorch, within the noise")),
        (1.5, {"low": 1.4, "high": 1.6, "verdict": "steady"}, ("no", "slower than PyTorch: 1.50 times its latency")),
        (
            0.25,
            {"low": 0.1, "high": 1.4, "verdict": "disturbed"},
            ("open", "4 times (0.71 to 10) as fast as PyTorch, in a disturbed measurement"),
        ),
    ],
)
def test_speed_is_claimed_only_where_it_was_measured(measurements, ratio, interval, expected):
    target = target_of(measurements, "cpu")
    latencies = target.benchmark["ratios"][target.chosen.precision]["1"]["pytorch"]["intervals"]["p50"]
    latencies["end_to_end"] = interval | {"median": ratio}
    assert headline.speed(target) == expected


def test_a_larger_engine_is_called_larger(measurements):
    target = target_of(measurements, "cpu")
    target.chosen.build["bytes"] = 2 * target.chosen.build["onnx_bytes"]
    assert headline.size(target) == ("no", "100% larger")


def test_a_loss_of_accuracy_that_is_no_noise_is_said(measurements):
    target = target_of(measurements, "l4")
    target.chosen.accuracy["evaluation"]["engine"]["top1"] = 0.76
    assert headline.accuracy(target, measurements) == (
        "no",
        "accuracy lower (76.0% against 85.2%, more than the noise)",
    )


def test_without_truth_no_accuracy_is_claimed(measurements):
    state, words = headline.accuracy(target_of(measurements, "cpu"), measurements)
    assert (state, words) == ("open", "repeats PyTorch's answers; accuracy not measured")
    measurements.weights["origin"] = "rehearsal"
    assert (
        headline.accuracy(target_of(measurements, "l4"), measurements)[1]
        == "accuracy unknown (rehearsal: random weights)"
    )


def test_the_five_figures_are_those_of_the_records(measurements):
    figures = headline.figures(target_of(measurements, "l4"), measurements)
    assert [(each.value, each.name) for each in figures] == [
        ("1.00 ms", "median latency, batch 1"),
        ("1,234/s", "answers under load"),
        ("9.25 ms", "p99 under load"),
        ("51.0 MB", "size of the engine"),
        ("84.8%", "top-1 accuracy"),
    ]
    assert [each.compared for each in figures] == [
        "PyTorch: 4.00 ms",
        "4 in flight; 2,100 MB of memory",
        "9.00 ms to 9.75 ms; limit 1000 ms",
        "50% of the FP32 ONNX file",
        "the model itself: 85.2%; 1 of 250 photographs fewer, within the noise",
    ]


def test_targets_are_side_by_side_with_what_each_has(measurements):
    rows = dict(side_by_side(measurements.targets, measurements))
    assert rows["engine"] == ["fp32", "int8"]
    assert rows["size of the engine"] == ["51.0 MB", "51.0 MB"]
    assert rows["equal answers"] == ["100.0%", None]
    assert rows["top-1 accuracy"] == [None, "84.8%"]
    assert list(rows)[-1] == "live"


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ([], "no", "not live"),
        ([{}], "yes", "live since 29 November 2026, 12:03 UTC (on this machine)"),
        ([{}, {"when": "2026-11-30T00:00:00Z"}], "yes", "live since 29 November 2026, 12:03 UTC (on this machine)"),
        (
            [{}, {"when": "2026-11-30T00:00:00Z", "selection": "f" * 64, "action": "rolled_back"}],
            "open",
            "not live: rolled back to another version since 30 November 2026, 00:00 UTC (on this machine)",
        ),
        (
            [{}, {"when": "2026-11-30T08:00:00Z", "action": "undeployed"}],
            "no",
            "not live: taken out of service on 30 November 2026, 08:00 UTC",
        ),
        (
            [{"platform": "kserve"}, {"when": "2026-11-30T08:00:00Z", "action": "undeployed"}],
            "yes",
            "live since 29 November 2026, 12:03 UTC (kserve)",
        ),
    ],
)
def test_liveness_is_what_the_last_deployments_say(measurements, changes, state, words):
    target = target_of(measurements, "cpu")
    history = History([], [changed(target, **change) for change in changes], [])
    assert is_it_live(target, history) == (state, words)


def test_a_run_of_the_history_is_told_with_its_deployments(measurements):
    line = runs.run(1)
    served = line["targets"]["cpu"]["records"]["selection"]
    deployment = changed(target_of(measurements, "cpu"), selection=served)
    measurements.__dict__["history"] = History([Run(line)], [deployment], [])
    assert measurements.changes_of(Run(line)) == ["deployed: 29 November 2026, 12:03 UTC"]


@pytest.mark.parametrize(("quantities", "taken"), [(["end_to_end", "gpu", "gpu_graph"], 0.1), (["end_to_end"], 0.2)])
def test_the_latency_of_an_engine_is_the_gpus_in_a_graph_or_that_of_the_whole_call(measurements, quantities, taken):
    target = target_of(measurements, "l4")
    ratios = {"gpu_graph": 0.1, "gpu": 0.15, "end_to_end": 0.2}
    spans = {name: {"median": ratios[name], "low": 0.05, "high": 0.3, "verdict": "steady"} for name in quantities}
    target.benchmark["ratios"][target.chosen.precision]["1"]["pytorch"]["intervals"]["p50"] = spans
    assert target.latency_ratio["median"] == taken
