import threading
from types import SimpleNamespace

import psutil
import pytest
from helpers.models.tiny_engine import change_record, tiny_engine

import measure_capacity
from slipway.contract.archives import write_samples
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version
from slipway.load_test import request_rate
from slipway.load_test.prober import Prober
from slipway.triton.server.leftovers import OWNER
from slipway.triton.server.tritonserver import Server

ROW = {
    "model": "m_fp32",
    "precision": "fp32",
    "instances": 1,
    "max_batch_size": 4,
    "concurrency": 4,
    "throughput_per_s": 50.0,
    "mean_ms": 20.0,
    "p99_ms": 40.0,
    "memory_mb": 100.0,
    "verdict": "steady",
}


@pytest.fixture
def tiny(tmp_path):
    return tiny_engine(tmp_path)


def arguments(folder, tiny, *options, digest=None, rows=(ROW,)):
    """Return the options of a load test with these rows, of this engine unless another digest is given."""
    engines = {"m_fp32": digest or sha256(tiny.engine_record)}
    write_json(folder / "analysis.json", {"measurements": list(rows), "engine_records": engines})
    compared = {"sample": {"relative_error": 0.0}, "evaluation": None, "metric": None}
    write_json(folder / "accuracy.json", {"engine_key": {"precision": "fp32"}, "key": {}, **compared})
    write_json(folder / "interface.json", tiny.contract.interface())
    write_samples(folder / "samples.npz", [{"input": tiny.batch}])
    names = {"load-test": "analysis", "accuracy": "accuracy", "interface": "interface", "output": "capacity"}
    files = [word for option, name in names.items() for word in (f"--{option}", str(folder / f"{name}.json"))]
    records = ["--engine-records", str(tiny.engine_record), "--weights-record", str(tiny.weights_record)]
    more = ["--samples", str(folder / "samples.npz"), "--hardware", cpu_identity(), "--p99-limit-ms", "1000"]
    return measure_capacity.parse_arguments([*files, *records, *more, *options])


def test_without_rates_nothing_is_measured_and_the_record_says_so(tmp_path, tiny):
    measure_capacity.main(arguments(tmp_path, tiny, "--request-rates"))
    made = read_json(tmp_path / "capacity.json")
    assert (made["configurations"], made["server"]) == ([], None)
    assert made["chosen_from"] == {"measurements": 1, "load_test_sha256": sha256(tmp_path / "analysis.json")}


def test_what_holds_no_limit_has_no_capacity(tmp_path, tiny):
    measure_capacity.main(arguments(tmp_path, tiny, rows=[ROW | {"p99_ms": 2000.0}]))
    assert read_json(tmp_path / "capacity.json")["configurations"] == []


def test_another_engine_than_the_load_tests_is_refused(tmp_path, tiny):
    with pytest.raises(SlipwayError, match="the load test measured another engine m_fp32 than the one here"):
        measure_capacity.main(arguments(tmp_path, tiny, digest="0" * 64))


@pytest.fixture
def prober(monkeypatch):
    """Return a function that makes a prober with so many seconds left, by a clock that stands still."""
    monkeypatch.setattr("slipway.load_test.prober.time", SimpleNamespace(monotonic=lambda: 0.0))

    def with_time(seconds, requests=30, **row):
        return Prober(None, None, None, ROW | row, seconds, requests, 1000.0, _step_s=0.0)

    return with_time


@pytest.mark.parametrize(
    ("rate", "row", "expected"),
    [
        (50.0, {}, 110 / 50),  # as many requests as p99 needs
        (3000.0, {}, 2.0),
        (3000.0, {"mean_ms": 400.0}, 10.0),  # else the requests on their way look like a growing queue
    ],
)
def test_a_point_takes_as_long_as_its_samples_need(prober, rate, row, expected):
    assert prober(1e6, **row).seconds(rate) == pytest.approx(expected)


def test_a_points_windows_hold_the_requests_that_are_asked_for(prober):
    assert prober(1e6, requests=1000).seconds(100.0) == pytest.approx(30)


def test_little_time_shortens_a_point_to_its_share(prober):
    assert prober(50).seconds(1.0) == pytest.approx(10)


def test_a_rate_for_whose_fewest_requests_there_is_no_time_is_left_out(prober):
    assert prober(50).has_time(1.0)
    assert not prober(50).has_time(0.1)


@pytest.fixture
def serving(tiny):
    """Return a tiny engine of the version that is installed here."""
    key = read_json(tiny.engine_record)["key"] | {"runtime_version": package_version("openvino")}
    change_record(tiny.engine_record, key=key)
    return tiny


def processes_of(owner):
    """Return the running processes of a server, which inherited its id."""
    started = psutil.process_iter(["environ", "status"])
    owned = [process for process in started if (process.info["environ"] or {}).get(OWNER, "").startswith(owner)]
    return [process for process in owned if process.info["status"] != psutil.STATUS_ZOMBIE]


def test_a_server_that_ends_under_a_rate_gives_an_upper_bound_and_is_started_again(tmp_path, serving, monkeypatch):
    start, measure, servers = Server.start, request_rate.Sender.measure, []

    def note_server(server):
        servers.append(server)
        return start(server)

    def kill_under_load(sender, rate_per_s, seconds):
        if rate_per_s > 50:
            threading.Timer(0.5, lambda: servers[-1].process.kill()).start()
        return measure(sender, rate_per_s, seconds)

    monkeypatch.setattr(Server, "start", note_server)
    monkeypatch.setattr(request_rate.Sender, "measure", kill_under_load)
    options = ["--request-rates", "20", "60", "70", "--requests", "10", "--capacity-minutes", "10"]
    measure_capacity.main(arguments(tmp_path, serving, *options))
    [found] = read_json(tmp_path / "capacity.json")["configurations"]
    ended = "tritonserver ended with exit code -9"
    above = [point.get("ended") for point in found["points"] if point["asked_per_s"] > 50]
    assert set(above) == {ended}
    assert found["breaks_at"]["asked_per_s"] == 60
    assert len(servers) == len(above), "it is started again for each next rate"
    assert not processes_of(servers[-1].id), "no process of a backend outlives its server"
    assert f"60/s are too many ({ended})" in found["words"] or f"not even 60 requests/s hold: {ended}" in found["words"]


def test_perf_analyzer_that_fails_beside_a_live_server_fails_the_job(tmp_path, serving, monkeypatch):
    monkeypatch.setattr(request_rate, "ANY", "no number")
    monkeypatch.setattr("slipway.load_test.prober.ENDING_S", 0.1)
    with pytest.raises(SlipwayError, match="perf_analyzer ended with exit code"):
        measure_capacity.main(arguments(tmp_path, serving, "--request-rates", "20", "--capacity-minutes", "10"))


def test_a_given_rate_on_a_real_server(tmp_path, serving):
    """A tiny model takes it, or other programs on this machine disturb it."""
    options = ["--request-rates", "60", "--requests", "10", "--capacity-minutes", "10"]
    measure_capacity.main(arguments(tmp_path, serving, *options))
    [found] = read_json(tmp_path / "capacity.json")["configurations"]
    assert {point["asked_per_s"] for point in found["points"]} == {60}
    held = [point for point in found["points"] if point["outcome"] == "holds"]
    assert held or {point["verdict"] for point in found["points"]} == {"disturbed"}
    assert all(point["answered_per_s"] == pytest.approx(60, rel=0.1) for point in held)
    assert all("p99_ms" in point for point in held), "a hundred requests and more carry p99"
