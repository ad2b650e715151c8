"""This run beside the last one that was live: the table, the exit code, and what no comparison says anything about."""

import json

import pytest
from helpers.artifacts import runs

import compare
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.history import changes
from slipway.history.figures import Figure
from slipway.history.file import append, read
from slipway.history.words import figure_in_words

FIRST = runs.run(1)
LIMITS = (
    "--latency",
    "0.1",
    "--p99",
    "0.1",
    "--throughput",
    "0.1",
    "--size",
    "0.1",
    "--memory",
    "0.1",
    "--top1",
    "0.01",
)

P99 = {"targets__cpu__selection__p99_ms": 25.0}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return results/tiny, where the first run is live."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "tiny"
    append(folder / "history.jsonl", FIRST)
    changes.went_live({str(folder / "deploy" / "receipt.json"): runs.receipt(FIRST, 1)})
    return folder


def compared(place, line, *options, capfd):
    """Compare a run with the live one; return (error or None, what was said, the JSON)."""
    append(place / "history.jsonl", line)
    write_json(place / "run.json", {"origin": "checkpoint", "recording": 1, "line": line})
    error = None
    try:
        compare.main(compare.parse_arguments(list(options)))
    except SlipwayError as raised:
        error = str(raised)
    out, err = capfd.readouterr()
    return error, err, json.loads(out) if "--json" in options else None


def second(**changes):
    return runs.run(2, "2026-01-12T09:00:00Z", **changes)


def rows_of(found):
    return {row["name"]: row for row in found[0]["served"]}


def test_a_steady_change_beyond_its_limit_is_a_regression(place, capfd):
    line = second(latency_ms=51.0)
    error, said, _ = compared(place, line, *LIMITS, capfd=capfd)
    name = f"r{line['key'][:12]}"
    assert "tiny on cpu (regression)" in error
    assert f"accept: [{name}]" in error
    row = next(text for text in said.splitlines() if "latency at batch 1" in text)
    assert "10 ms (9.8 to 10.2) -> 51 ms (49.98 to 52.02)" in row
    assert "+410.0 %" in row
    assert "more than the noise, REGRESSION: may rise by 10 %" in row
    assert "deployed at 2026-01-05T10:00:00Z as version 1" in said
    assert compared(place, line, *LIMITS, "--accept", name, capfd=capfd)[0] is None


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"latency_ms": 10.2}, "latency at batch 1", "passed"),
        ({"targets__cpu__engines__fp32__bytes": 1_099_000}, "size", "passed"),
        ({"targets__cpu__engines__fp32__bytes": 1_101_000}, "size", "regression"),
        ({"targets__cpu__selection__memory_mb": 221.0}, "memory under load", "regression"),
        ({"targets__cpu__selection__throughput_per_s": runs.around(80.0)}, "throughput under load", "regression"),
        ({"targets__cpu__selection__throughput_per_s": runs.around(120.0)}, "throughput under load", "passed"),
        ({"targets__cpu__engines__fp32__accuracy__top1": 0.838}, "top-1 accuracy", "regression"),
        ({"targets__cpu__engines__fp32__accuracy__top1": 0.842}, "top-1 accuracy", "passed"),
        ({"latency_ms": 51.0, "verdict": "disturbed"}, "latency at batch 1", "undecided"),
        ({"targets__cpu__hardware": "another CPU", "latency_ms": 51.0}, "latency at batch 1", "not compared"),
        ({"targets__cpu__threads": 8, "latency_ms": 51.0}, "throughput at batch 1", "not compared"),
        ({"targets__cpu__selection__in_flight": 8}, "throughput under load", "not compared"),
        ({**P99, "targets__cpu__selection__p99_interval_ms": [24.0, 26.0]}, "p99 under load", "regression"),
        ({**P99, "targets__cpu__selection__p99_interval_ms": [18.0, 30.0]}, "p99 under load", "passed"),
        ({**P99, "targets__cpu__selection__p99_interval_ms": [24.0, None]}, "p99 under load", "undecided"),
        ({**P99, "targets__cpu__selection__p99_interval_ms": None}, "p99 under load", "undecided"),
        ({"targets__cpu__engines__fp32__accuracy__data": "e" * 64}, "top-1 accuracy", "not compared"),
    ],
)
def test_the_verdict_on_a_figure(place, capfd, change, name, verdict):
    error, _, found = compared(place, second(**change), *LIMITS, "--json", capfd=capfd)
    assert rows_of(found)[name]["verdict"] == verdict
    assert (error is not None) == (verdict in ("regression", "undecided"))


def test_a_change_beyond_the_limit_that_is_within_the_noise_is_none(place, capfd):
    wide = {"value": 11.5, "low": 10.1, "high": 12.0}
    line = second(targets__cpu__engines__fp32__batches__1__latency_ms=wide)
    error, _, found = compared(place, line, *LIMITS, "--json", capfd=capfd)
    assert error is None
    row = rows_of(found)["latency at batch 1"]
    assert (row["verdict"], row["noise"]) == ("passed", "within the noise")
    assert row["change"] == pytest.approx(0.15)


def test_a_negative_metric_that_falls_has_a_negative_change(place, capfd):
    line, name = second(targets__cpu__engines__fp32__accuracy__metric={"likelihood": -3.0}), "metric likelihood"
    before = runs.run(4, targets__cpu__engines__fp32__accuracy__metric={"likelihood": -2.0})
    append(place / "history.jsonl", before)
    _, _, found = compared(place, line, "--run", f"r{before['key'][:12]}", "--json", capfd=capfd)
    assert rows_of(found)[name]["change"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("goal", "p99_ms", "verdict"),
    [("cheapest", 100, "regression"), ("cheapest", 50, "not compared"), ("fastest", 100, "not compared")],
)
def test_throughput_with_other_requests_in_flight_is_compared_if_both_choices_sought_it(
    place, capfd, goal, p99_ms, verdict
):
    aim = {"targets__cpu__selection__goal": goal}
    before = runs.run(4, **aim, targets__cpu__selection__limits={"p99_ms": 100})
    append(place / "history.jsonl", before)
    slower = {"targets__cpu__selection__throughput_per_s": runs.around(80.0), "targets__cpu__selection__in_flight": 8}
    line = second(**aim, **slower, targets__cpu__selection__limits={"p99_ms": p99_ms})
    other = ("--run", f"r{before['key'][:12]}")
    error, _, found = compared(place, line, *LIMITS, *other, "--json", capfd=capfd)
    assert rows_of(found)["throughput under load"]["verdict"] == verdict
    assert rows_of(found)["p99 under load"]["verdict"] == "not compared"
    assert (error is not None) == (verdict == "regression")
    said = compared(place, line, *LIMITS, *other, capfd=capfd)[1]
    row = next(text for text in said.splitlines() if "throughput under load" in text)
    assert "4 -> 8" in row


@pytest.mark.parametrize(("value", "text"), [(11430.4, "11,430 /s"), (999.96, "1,000 /s"), (0.01234, "0.01234 /s")])
def test_figures_are_plain_numbers(value, text):
    assert figure_in_words(Figure("throughput under load", value, "/s")) == text
    assert figure_in_words(Figure("throughput under load", value, "/s", 8.0, 12000.0)) == f"{text} (8 to 12,000)"


def test_without_limits_nothing_is_a_regression(place, capfd):
    error, said, _ = compared(place, second(latency_ms=51.0), capfd=capfd)
    assert error is None
    assert "+410.0 %" in said


def test_figures_of_one_run_alone_and_engines_that_are_not_served_are_shown(place, capfd):
    line = second()
    engines = line["targets"]["cpu"]["engines"]
    engines["int8"] = engines["fp32"]
    line["targets"]["cpu"]["selection"]["precision"] = "int8"
    del engines["int8"]["batches"]["1"]
    error, _, found = compared(place, line, *LIMITS, "--json", capfd=capfd)
    assert error is None
    assert rows_of(found)["latency at batch 1"]["why_not"] == "it was measured in one of the two runs alone"
    assert list(found[0]["others"]) == ["fp32"]


def test_it_is_compared_with_what_was_live_last_also_after_a_rollback(place, capfd):
    live, receipt = second(), str(place / "deploy" / "receipt.json")
    append(place / "history.jsonl", live)
    changes.went_live({receipt: runs.receipt(live, 2, "2026-01-12T10:00:00+00:00")})
    third = runs.run(3, "2026-01-19T09:00:00Z")
    assert compared(place, third, "--json", capfd=capfd)[2][0]["compared_with"] == f"r{live['key'][:12]}"
    back = runs.receipt(FIRST, 1, "2026-01-19T10:00:00+00:00", rolled_back_from=2)
    changes.went_live({receipt: back})
    assert compared(place, third, "--json", capfd=capfd)[2][0]["compared_with"] == f"r{FIRST['key'][:12]}"
    # What is live itself is compared with what was live before it.
    assert compared(place, FIRST, "--json", capfd=capfd)[2][0]["compared_with"] == f"r{live['key'][:12]}"
    found = compared(place, third, "--json", "--to", "kubernetes", capfd=capfd)[2][0]
    assert (found["compared_with"], found["why_not"]) == (None, "none was live on kubernetes")


def test_another_run_can_be_named(place, capfd):
    third = runs.run(3, "2026-01-19T09:00:00Z")
    append(place / "history.jsonl", second())
    name = f"r{second()['key'][:12]}"
    for other in ("2", name, name[:6]):
        assert compared(place, third, "--json", "--run", other, capfd=capfd)[2][0]["compared_with"] == name
    for unknown in ("rffff", "0"):
        error = compared(place, third, "--run", unknown, capfd=capfd)[0]
        assert "no run has this name" in error
    assert f"1: r{FIRST['key'][:12]} of 2026-01-05T09:00:00Z" in error


def test_without_measurements_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SlipwayError, match="snakemake --cores 1 compare"):
        compare.main(compare.parse_arguments([]))


def test_damaged_lines_are_named(place, capfd):
    with (place / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "run"}\n')
    _, said, _ = compared(place, second(), capfd=capfd)
    assert "CAUTION" in said
    assert "line 3" in said
    assert len(read(place / "history.jsonl").runs) == 2
