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
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.load_test.analyzed_points import BEGINS, EVENT, MEASURED, NO_FIGURES, OUT_OF_TIME, REUSED, WINDOWS
from slipway.load_test.candidates import Candidates
from slipway.load_test.interference import PointMonitor
from slipway.load_test.kept_points import KeptPoints
from slipway.load_test.limits import gaps_in_words
from slipway.load_test.progress_reader import ProgressReader
from slipway.load_test.sweep import Sweep
from slipway.triton.client.ports import Ports
from slipway.triton.server import ownership
from slipway.triton.server.installation import Installation
from slipway.triton.server.leftovers import owner_variable
from slipway.triton.server.ownership import require_own_listeners

POINT = {
    "variant": "m_fp32_config_0",
    "model": "m_fp32",
    "instances": 2,
    "max_batch_size": 8,
    "queue_delay_us": 0,
    "concurrency": 4,
}
RAW = {"measurement": {"throughput": 1}}
FIGURES = {
    "throughput_per_s": 123.4,
    "mean_ms": 1.0,
    "p90_ms": 2.0,
    "p95_ms": 3.0,
    "p99_ms": 4.0,
    "queue_ms": 0.1,
    "compute_ms": 0.5,
}
ROW = POINT | FIGURES
PROFILING = "[Model Analyzer] Profiling m_fp32_config_0: concurrency=4"
SAVED = "[Model Analyzer] Saved checkpoint to /checkpoints/0.ckpt"
AGREEING = {"windows_per_s": [100.0, 104.0, 110.0], "unstable": False, "shortened": False}
AGREEING |= {"p50_ms": 1.5, "p99_interval_ms": [0.9, None]}
QUIET = {"memory_mb": 150.0, "others_cpu_percent": 0.0, "cpus_busy_percent": 50.0}
SWEEP = Sweep([1, 4], [1, 2], [8], requests=30, stability_percent=20, minutes=2)


@pytest.fixture
def tiny(tmp_path):
    return tiny_engine(tmp_path)


class Monitor(PointMonitor):
    """A monitor that saw these figures."""

    seen = QUIET

    def figures(self):
        return self.seen


@pytest.fixture
def reader(tmp_path, tiny):
    kept = KeptPoints(tmp_path / "kept")
    return ProgressReader({"m_fp32": tiny.engine}, kept, Monitor(), lambda: None, SWEEP.stability_percent)


def event(name, **content):
    return f"{EVENT}{json.dumps([name, content])}"


def row_of(reader, windows=AGREEING, on_gpu=False, **seen):
    """Let the reader read of one point that is measured. Return its row."""
    reader.monitor.seen = QUIET | seen | ({"gpu_state": None, "gpu_memory_mb": 700} if on_gpu else {})
    for line in (
        PROFILING,
        event(WINDOWS, **windows),
        event(MEASURED, key="the-key", row=POINT | FIGURES, **RAW),
        SAVED,
    ):
        reader(line)
    return reader.rows[-1]


def test_a_row_of_a_cpu_has_no_memory_of_a_gpu(reader):
    row = row_of(reader)
    assert row == row | ROW | {"precision": "fp32"}
    assert (row["memory_mb"], row["p50_ms"]) == (150, 1.5)
    assert read_json(reader.kept.store / "the-key.json")["measurement"] == RAW["measurement"]
    assert row["p99_interval_ms"] == [0.9, None]
    assert "gpu_memory_mb" not in row


def test_a_row_of_a_gpu_has_the_gpus_memory_and_state(reader):
    row = row_of(reader, on_gpu=True)
    assert (row["gpu_memory_mb"], row["gpu_state"]) == (700, None)


@pytest.mark.parametrize(
    ("windows", "spread", "verdict"),
    [
        (AGREEING, 10, "steady"),
        (AGREEING | {"windows_per_s": [100.0, 130.0]}, 30, "disturbed"),
        (AGREEING | {"unstable": True}, 10, "disturbed"),
        (AGREEING | {"windows_per_s": []}, None, "disturbed"),
    ],
)
def test_a_row_is_disturbed_if_its_windows_lie_far_apart_or_are_not_known(reader, windows, spread, verdict):
    row = row_of(reader, windows)
    assert (row["spread_percent"], row["verdict"]) == (spread, verdict)


@pytest.mark.parametrize(("busy", "verdict"), [(99.0, "disturbed"), (50.0, "steady")])
def test_a_row_is_disturbed_if_others_took_the_cpus(reader, busy, verdict):
    shares = {"others_cpu_percent": 40.0, "cpus_busy_percent": busy}
    row = row_of(reader, on_gpu=True, **shares)
    assert row == row | {**shares, "gpu_state": None, "verdict": verdict}


def test_a_point_of_an_earlier_run_has_the_figures_that_were_kept(reader):
    measured = row_of(reader)
    reader(event(REUSED, key="the-key", row=ROW))
    _, reused = reader.rows
    assert reused.pop("measured_at")
    assert reused == measured


def test_progress_names_the_precision_and_the_configuration(reader, capsys):
    delayed = POINT | {"instances": 1, "queue_delay_us": 100, "concurrency": 1}
    lines = [
        event(BEGINS, **POINT),
        PROFILING,
        event(NO_FIGURES, reason="perf_analyzer failed"),
        "[Model Analyzer] Model m_fp32_config_1 load failed: no memory",
    ]
    for line in [*lines, event(REUSED, key="the-key", row=delayed)]:
        if line.startswith(f'{EVENT}["{REUSED}'):
            write_json(reader.kept.store / "the-key.json", {"row": {}, "measured_at": "now"})
        reader(line)
    assert capsys.readouterr().err.splitlines() == [
        "  measuring fp32, 2 instances, batches up to 8, 4 in flight",
        "  not measured: fp32, 2 instances, batches up to 8, 4 in flight: perf_analyzer failed",
        "  not measured: fp32, 2 instances, batches up to 8, 4 in flight: Model m_fp32_config_1 load failed: no memory",
        "  fp32, 1 instance, batches up to 8 that wait for 100 µs, 1 in flight: measured by an earlier run",
    ]


def test_points_without_figures_are_named(reader):
    rows = [row_of(reader) | {"instances": instances, "concurrency": 1} for instances in (1, 2)]
    missing = [{"precision": "fp32", **point} for point in SWEEP.unmeasured(["m_fp32"], rows)]
    assert [(point["instances"], point["concurrency"]) for point in missing] == [(1, 4), (2, 4)]
    assert not replace(SWEEP, search="quick").unmeasured(["m_fp32"], rows)
    words = gaps_in_words(missing, rows, SWEEP.minutes)
    assert "not measured, since `load_test.minutes` (2) did not suffice" in words
    assert "fp32, 2 instances, batches up to 8, 4 in flight" in words
    assert "disturbed" not in words


def test_the_table_has_a_column_a_figure(tmp_path, reader):
    row = row_of(reader, on_gpu=True)
    load_test.write_table(tmp_path / "t.csv", [row, row])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    cells = {name: value for name, value in row.items() if name not in load_test.NOT_IN_TABLE}
    assert rows[0] == {name: "" if value is None else str(value) for name, value in cells.items()}


def test_a_port_that_another_took_meanwhile_is_told_before_its_server_is_measured(reader):
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = replace(Ports.free(), grpc=other.getsockname()[1])
        reader.require_own = partial(require_own_listeners, ports)
        with pytest.raises(SlipwayError, match=f"port {ports.grpc} was taken by process {os.getpid()} "):
            reader(PROFILING)
    reader(PROFILING)


def test_a_point_is_not_stored_if_another_took_the_port_while_it_was_measured(reader):
    reader(event(WINDOWS, **AGREEING))
    with socket.create_server(("127.0.0.1", 0)) as other:
        reader.require_own = partial(require_own_listeners, replace(Ports.free(), grpc=other.getsockname()[1]))
        with pytest.raises(SlipwayError, match=f"was taken by process {os.getpid()} "):
            reader(event(MEASURED, key="the-key", row=POINT | FIGURES, **RAW))
    assert reader.rows == []
    assert not (reader.kept.store / "the-key.json").exists()


def test_a_server_that_outlives_its_model_analyzer_is_no_stranger():
    program = (
        "import os, socket, time; s = socket.create_server(('127.0.0.1', 0)); child = os.fork(); "
        "time.sleep(600) if not child else print(s.getsockname()[1], child)"
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


# The main thread of this process ends, and another thread keeps its port a little longer, as in a killed server.
HALF_ENDED = """
import ctypes, os, socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (time.sleep(2), os._exit(0)), daemon=True).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone
"""


def test_a_killed_server_whose_last_thread_still_has_the_port_is_no_stranger():
    with subprocess.Popen([sys.executable, "-c", HALF_ENDED], stdout=subprocess.PIPE, text=True) as server:
        ports = replace(Ports.free(), grpc=int(server.stdout.readline()))
        require_own_listeners(ports)


def test_a_server_that_starts_during_a_look_at_the_ports_is_no_stranger(monkeypatch):
    ports = Ports.free()
    child = subprocess.Popen(["sleep", "600"])
    looks = iter([[None], [child.pid]])  # the processes that psutil finds for the socket
    monkeypatch.setattr(ownership, "_listening", lambda _: [(("127.0.0.1", ports.grpc), pid) for pid in next(looks)])
    try:
        require_own_listeners(ports)
    finally:
        child.kill()
        child.wait()
    assert next(looks, None) is None, "it looked twice"


@pytest.fixture
def load_tested(tmp_path, tiny, monkeypatch):
    """Return a function that load-tests with a Model Analyzer that does nothing but call a function."""

    def measure(run, sweep):
        monkeypatch.setattr(load_test.model_analyzer, "configuration", lambda *_: {})
        monkeypatch.setattr(load_test.model_analyzer, "run", run)
        server = Installation("t", native_backends=True, folder=tmp_path)
        candidates = Candidates({"m_fp32": tiny.engine}, tiny.contract, [{"input": tiny.batch}], server)
        load_test.measure(candidates, sweep, KeptPoints(tmp_path / "kept"), tmp_path, {})

    return measure


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (
            2,
            "in `load_test.minutes: 2`, which is 20 s for each of 6 points: three windows of at least 30 requests take "
            "longer; set `load_test: {minutes: 8, requests: 5, concurrency: [1], instances: [1]}`",
        ),
        (
            None,
            "in 1,200 s for each of 6 points: three windows of at least 30 requests take longer; set `load_test: {req",
        ),
        (
            0.1,
            ": `load_test.minutes: 0.1` is 1 s for each of 6 points; perf_analyzer takes up to 6 s to start and to "
            "measure three windows, and points that no time is left for are not measured; set `load_test.minutes: 0.6`",
        ),
    ],
)
def test_a_load_test_that_measures_nothing_in_its_time_names_the_lines_to_set(load_tested, minutes, told):
    def run(*arguments):
        arguments[-1](event(OUT_OF_TIME))
        raise SlipwayError("Model Analyzer ended with exit code 1")

    sweep = replace(SWEEP, minutes=minutes, batching_delays_us=[0, 100])
    with pytest.raises(SlipwayError, match="measured no configuration") as caught:
        load_tested(run, sweep)
    assert told in str(caught.value)


def test_a_sweep_without_figures_is_told(load_tested):
    with pytest.raises(SlipwayError, match="no figures of any configuration"):
        load_tested(lambda *_: None, Sweep([1], [2], [4], 30, 100))


def test_a_model_analyzer_that_fails_after_a_measurement_has_its_own_error(load_tested):
    def run(*arguments):
        arguments[-1].rows.append(ROW)
        arguments[-1](event(OUT_OF_TIME))
        raise SlipwayError("Model Analyzer ended with exit code 1")

    with pytest.raises(SlipwayError, match="ended with exit code 1"):
        load_tested(run, SWEEP)
