import csv
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
from helpers.models.tiny_engine import tiny_engine

import load_test
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.load_test.analyzed_points import OVER
from slipway.load_test.kept_points import KeptPoints
from slipway.load_test.keyed_model_analyzer import REPORT
from slipway.load_test.limits import gaps_in_words
from slipway.load_test.narrator import p99_interval_ms
from slipway.load_test.rows import NOT_IN_TABLE
from slipway.load_test.sweep import Sweep
from slipway.triton.client.ports import Ports
from slipway.triton.server import ownership
from slipway.triton.server.installation import Installation
from slipway.triton.server.leftovers import owner_variable
from slipway.triton.server.ownership import require_own_listeners

MEASURED = {
    "model": "m_fp32",
    "variant": "m_fp32_config_0",
    "max_batch_size": 8,
    "concurrency": 4,
    "throughput_per_s": 123.4,
    "mean_ms": 1.0,
    "p90_ms": 2.0,
    "p95_ms": 3.0,
    "p99_ms": 4.0,
    "queue_ms": 0.1,
    "compute_ms": 0.5,
}
POINT = "m_fp32_config_0/4"
PEAKS = {POINT: {"memory_mb": 150.0, "gpu_memory_mb": 700.0}}
AGREEING = {"windows_per_s": [100.0, 104.0, 110.0], "unstable": False, "shortened": False, "p50_ms": 1.5}
SWEEP = Sweep([1, 4], [1, 2], [8], requests=30, stability_percent=20, minutes=2)


@pytest.fixture
def tiny(tmp_path):
    return tiny_engine(tmp_path)


class Memory:
    """What of PeakMemory the narrator names the phase of, and its peaks."""

    phase, peaks = "", PEAKS

    def measure(self):
        self.measured = self.phase


def narrator(require_own=lambda: None):
    return load_test.Narrator(Memory(), require_own, windows={POINT: AGREEING})


def described(tiny, told=None, on_gpu=False):
    interference = load_test.Interference(lambda: POINT)
    row = MEASURED | {"precision": tiny.engine.record["key"]["precision"], "instances": 2, "queue_delay_us": 0}
    return row | load_test.figures_of(POINT, told or narrator(), interference, SWEEP, on_gpu)


def test_a_row_of_a_cpu_has_no_memory_of_a_gpu(tiny):
    row = described(tiny)
    assert (row["precision"], row["instances"], row["memory_mb"], row["p50_ms"]) == ("fp32", 2, 150, 1.5)
    assert "gpu_memory_mb" not in row


@pytest.mark.parametrize(("peaks", "seen"), [(PEAKS, 700), ({}, None)])
def test_a_row_of_a_gpu_says_what_was_seen_of_its_memory(tiny, peaks, seen):
    told = narrator()
    told.memory.peaks = peaks
    assert described(tiny, told, on_gpu=True)["gpu_memory_mb"] == seen


@pytest.mark.parametrize(
    ("windows", "spread", "verdict"),
    [
        (AGREEING, 10, "steady"),
        (AGREEING | {"windows_per_s": [100.0, 130.0]}, 30, "disturbed"),
        (AGREEING | {"unstable": True}, 10, "disturbed"),
        (AGREEING | {"windows_per_s": []}, None, "disturbed"),
    ],
)
def test_a_row_is_disturbed_if_its_windows_lie_far_apart_or_are_not_known(tiny, windows, spread, verdict):
    told = narrator()
    told(REPORT + json.dumps(windows))
    told.windows[POINT] = told.windows.pop("")
    row = described(tiny, told)
    assert (row["spread_percent"], row["verdict"]) == (spread, verdict)


@pytest.mark.parametrize(("busy", "verdict"), [(99.0, "disturbed"), (50.0, "steady")])
def test_a_row_is_disturbed_if_others_took_the_cpus(tiny, monkeypatch, busy, verdict):
    shares = {"others_cpu_percent": 40.0, "cpus_busy_percent": busy}
    monkeypatch.setattr(load_test.Interference, "cpu_percent", lambda self, phase: shares)
    row = described(tiny, on_gpu=True)
    assert row == row | {**shares, "gpu_state": None, "verdict": verdict}


def test_points_without_figures_are_named(tiny):
    rows = [described(tiny) | {"instances": instances, "concurrency": 1} for instances in (1, 2)]
    missing = load_test.not_measured(rows, {"m_fp32": tiny.engine}, SWEEP)
    assert [(point["precision"], point["instances"], point["concurrency"]) for point in missing] == [
        ("fp32", 1, 4),
        ("fp32", 2, 4),
    ]
    words = gaps_in_words(missing, rows, SWEEP.minutes)
    assert "not measured, since `load_test.minutes` (2) did not suffice" in words
    assert "fp32, 2 instances, batches up to 8, 4 in flight" in words
    assert "disturbed" not in words


def test_instances_and_delay_are_those_of_the_variants_configuration(tmp_path):
    folder = tmp_path / "variants" / "m_fp32_config_0"
    folder.mkdir(parents=True)
    written = (
        'name: "m" instance_group { count: 3 kind: KIND_GPU } dynamic_batching { max_queue_delay_microseconds: 50 }'
    )
    (folder / "config.pbtxt").write_text(written, encoding="utf-8")
    assert load_test.varied_of(MEASURED, tmp_path) == {"instances": 3, "queue_delay_us": 50}


def test_the_interval_of_p99_comes_from_the_requests_of_the_last_three_windows(tmp_path, tiny):
    requests = [
        {"timestamp": second * 10**9, "response_timestamps": [second * 10**9 + 5_000_000]} for second in range(9)
    ]
    requests[7]["response_timestamps"] = [9 * 10**9]  # after the last window
    requests[8]["response_timestamps"] = []  # not answered
    boundaries = [0, 2 * 10**9, 4 * 10**9, 6 * 10**9, 8 * 10**9]
    experiment = {"requests": requests, "window_boundaries": boundaries}
    write_json(tmp_path / "requests.json", {"experiments": [experiment]})
    assert p99_interval_ms(tmp_path / "requests.json") == [5.0, None]
    write_json(tmp_path / "other.json", {"experiments": [{"requests": [{"begin": 1}]}]})
    assert p99_interval_ms(tmp_path / "other.json") is p99_interval_ms(tmp_path / "none.json") is None
    told = narrator()
    told.requests = tmp_path / "requests.json"
    told.memory.phase = POINT
    told(REPORT + json.dumps(AGREEING))
    assert described(tiny, told)["p99_interval_ms"] == [5.0, None]


def test_the_table_has_a_column_a_figure(tmp_path, tiny):
    row = described(tiny, on_gpu=True)
    load_test.write_table(tmp_path / "t.csv", [row, row])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    cells = {name: value for name, value in row.items() if name not in NOT_IN_TABLE}
    assert rows[0] == {name: "" if value is None else str(value) for name, value in cells.items()}


def test_memory_is_counted_for_a_measurement_only_while_it_runs(capsys):
    narrate = narrator()
    narrate("[Model Analyzer] Profiling m_fp16_config_0: concurrency=64")
    assert narrate.memory.phase == "m_fp16_config_0/64"
    narrate("[Model Analyzer] Saved checkpoint to /checkpoints/0.ckpt")
    assert narrate.memory.phase == ""


def test_a_port_that_another_took_meanwhile_is_told_before_its_server_is_measured():
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = replace(Ports.free(), grpc=other.getsockname()[1])
        narrate = narrator(partial(require_own_listeners, ports))
        with pytest.raises(SlipwayError, match=f"port {ports.grpc} was taken by process {os.getpid()} "):
            narrate("[Model Analyzer] Profiling m_fp16_config_0: concurrency=64")
    narrate("[Model Analyzer] Profiling m_fp16_config_0: concurrency=64")


def test_a_server_that_outlives_its_model_analyzer_is_no_stranger():
    program = (
        "import os, socket, time; s = socket.create_server(('127.0.0.1', 0)); child = os.fork(); "
        "time.sleep(60) if not child else print(s.getsockname()[1], child)"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ | owner_variable("mine")
    )
    port, orphan = map(int, started.stdout.readline().split())
    started.wait()
    try:
        ports = replace(Ports.free(), grpc=port)
        require_own_listeners(ports, "mine")
        with pytest.raises(SlipwayError, match=f"port {port} was taken by process {orphan} "):
            require_own_listeners(ports, "another's")
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_server_that_starts_during_a_look_at_the_ports_is_no_stranger(monkeypatch):
    ports = Ports.free()
    child = subprocess.Popen(["sleep", "60"])
    looks = iter([[None], [child.pid]])  # the processes that psutil finds for the socket
    monkeypatch.setattr(ownership, "_listening", lambda _: [(("127.0.0.1", ports.grpc), pid) for pid in next(looks)])
    try:
        require_own_listeners(ports)
    finally:
        child.kill()
        child.wait()
    assert next(looks, None) is None, "it looked twice"


@pytest.mark.parametrize("minutes", [2, None])
def test_a_load_test_that_measures_nothing_in_its_time_names_the_lines_to_set(tmp_path, tiny, monkeypatch, minutes):
    def run(*arguments):
        arguments[-1](f"{OVER}\n")
        raise SlipwayError("Model Analyzer ended with exit code 1")

    monkeypatch.setattr(load_test.model_analyzer, "configuration", lambda *_: {})
    monkeypatch.setattr(load_test.model_analyzer, "run", run)
    server, kept = Installation("t", native_backends=True, folder=tmp_path), KeptPoints(tmp_path / "kept", tmp_path)
    with pytest.raises(SlipwayError, match="measured no configuration in") as caught:
        load_test.measure({"m_fp32": tiny.engine}, server, kept, replace(SWEEP, minutes=minutes), on_gpu=False)
    assert ("`load_test: {minutes: 8, requests: 5, " in str(caught.value)) == (minutes is not None)


def test_a_sweep_without_figures_is_told(tmp_path, tiny, monkeypatch):
    for name, answer in {"configuration": {}, "run": None, "read_table": []}.items():
        monkeypatch.setattr(load_test.model_analyzer, name, lambda *_, answer=answer, **__: answer)
    server, kept = Installation("t", native_backends=True, folder=tmp_path), KeptPoints(tmp_path / "kept", tmp_path)
    with pytest.raises(SlipwayError, match="no figures of any configuration"):
        load_test.measure({"m_fp32": tiny.engine}, server, kept, Sweep([1], [2], [4], 30, 100), on_gpu=False)


def test_rows_of_one_configuration_have_one_variant():
    row = {"model": "m_fp32", "instances": 1, "max_batch_size": 4, "queue_delay_us": 0, "variant": "default"}
    other = row | {"instances": 2, "variant": "config_1"}
    rows = load_test.by_one_name([row, row | {"variant": "config_0", "concurrency": 2}, other])
    assert [each["variant"] for each in rows] == ["default", "default", "config_1"]
