import base64
import csv
import json
import os
import socket
from dataclasses import replace
from functools import partial

import pytest
from helpers.models.tiny_engine import CLASSES, change_record, tiny_engine

import load_test
from slipway.contract.golden import write_samples
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.load_test.keyed_model_analyzer import OVER
from slipway.load_test.limits import gaps_in_words
from slipway.load_test.model_analyzer import Sweep
from slipway.triton.repository.model_config import read_config
from slipway.triton.server.ownership import require_own_listeners
from slipway.triton.server.tritonserver import Installation, Ports

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


@pytest.mark.parametrize(
    "profiles", [[], [{"min": 1, "opt": 8, "max": 32}], [{"min": 1, "max": 8}, {"min": 9, "max": 32}]]
)
def test_batches_that_the_profiles_cover_are_accepted(tiny, profiles):
    change_record(tiny.engine_record, profiles=profiles)
    load_test.require_covered_batches({"m": tiny.engine}, [8, 32])


@pytest.mark.parametrize(
    ("profiles", "missing"),
    [
        ([{"min": 1, "opt": 8, "max": 16}], "1 to 16, not 17"),
        ([{"min": 1, "opt": 1, "max": 1}, {"min": 8, "opt": 8, "max": 32}], "1 to 1 and 8 to 32, not 2"),
    ],
)
def test_a_batch_that_no_profile_covers_is_named_with_the_keys_to_change(tiny, profiles, missing):
    change_record(tiny.engine_record, profiles=profiles)
    with pytest.raises(SlipwayError, match=rf"`load_test.max_batch_sizes` goes up to 32.* {missing}") as caught:
        load_test.require_covered_batches({"m": tiny.engine}, [8, 32])
    assert "`tensorrt.profiles`" in str(caught.value)
    assert tiny.engine.path.name in str(caught.value)


class Memory:
    """What of PeakMemory the narrator names the phase of, and its peaks."""

    phase, peaks = "", PEAKS


def narrator(require_own=lambda: None):
    return load_test.Narrator(Memory(), require_own, windows={POINT: AGREEING})


def described(tiny, told=None, on_gpu=False):
    return load_test.describe(MEASURED, {"m_fp32": tiny.engine}, told or narrator(), 2, SWEEP, on_gpu)


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
    told(load_test.REPORT + json.dumps(windows))
    told.windows[POINT] = told.windows.pop("")
    row = described(tiny, told)
    assert (row["spread_percent"], row["verdict"]) == (spread, verdict)


@pytest.mark.parametrize(("busy", "verdict"), [(99.0, "disturbed"), (50.0, "steady")])
def test_a_row_is_disturbed_if_others_took_the_cpus(tiny, monkeypatch, busy, verdict):
    shares = {"others_cpu_percent": 40.0, "cpus_busy_percent": busy}
    monkeypatch.setattr(load_test.Interference, "cpu_percent", lambda self, phase: shares)
    found = load_test.interference_of(described(tiny), load_test.Interference(lambda: POINT), on_gpu=True)
    assert found == {**shares, "gpu_state": None, "verdict": verdict}


def test_points_without_figures_are_named(tiny):
    rows = [described(tiny) | {"instances": instances, "concurrency": 1} for instances in (1, 2)]
    missing = load_test.not_measured(rows, {"m_fp32": tiny.engine}, SWEEP)
    assert [(point["precision"], point["instances"], point["concurrency"]) for point in missing] == [
        ("fp32", 1, 4),
        ("fp32", 2, 4),
    ]
    words = gaps_in_words(missing, rows, SWEEP.minutes)
    assert "not measured, since `load_test.minutes` (2) did not suffice" in words
    assert "fp32, 2 instance(s), batches up to 8, 4 in flight" in words
    assert "disturbed" not in words


def test_the_instances_are_those_of_the_variants_configuration(tmp_path):
    folder = tmp_path / "variants" / "m_fp32_config_0"
    folder.mkdir(parents=True)
    (folder / "config.pbtxt").write_text('name: "m" instance_group { count: 3 kind: KIND_GPU }', encoding="utf-8")
    assert load_test.instances_of(MEASURED, tmp_path) == 3


def options(tiny, folder):
    write_json(folder / "interface.json", tiny.contract.interface())
    write_samples(folder / "samples.npz", [{"input": tiny.batch}])
    paths = {name: str(folder / name) for name in ("table", "record", "original", "plots")}
    return load_test.parse_arguments(
        [
            *("--model", "m", "--engine-records", str(tiny.engine_record)),
            *("--weights-record", str(tiny.weights_record), "--hardware", "any"),
            *("--interface", str(folder / "interface.json"), "--samples", str(folder / "samples.npz")),
            *("--instances", "2", "4", "--max-batch-sizes", "4", "8"),
            *(word for name, path in paths.items() for word in (f"--{name}", path)),
        ]
    )


@pytest.mark.parametrize(("native", "backend"), [(True, "openvino"), (False, "python")])
def test_a_candidate_is_configured_for_the_server_at_hand(tmp_path, tiny, native, backend):
    server = Installation("t", native_backends=native, folder=tmp_path)
    load_test.lay_out_candidate(tmp_path, "m_fp32", tiny.engine, tiny.contract, options(tiny, tmp_path), server)
    config = read_config(tmp_path / "repository" / "m_fp32" / "config.pbtxt")
    assert (config.backend, config.max_batch_size, config.instance_group[0].count) == (backend, 4, 2)
    assert list(config.output[0].dims) == [CLASSES]
    (sent,) = json.loads((tmp_path / "m_fp32.input.json").read_text(encoding="utf-8"))["data"]
    assert sent["input"]["shape"] == list(tiny.batch.shape[1:])
    assert base64.b64decode(sent["input"]["content"]["b64"]) == tiny.batch.tobytes()


def test_the_table_has_a_column_a_figure(tmp_path, tiny):
    row = described(tiny, on_gpu=True)
    load_test.write_table(tmp_path / "t.csv", [row, row])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert rows[0] == {name: str(value) for name, value in row.items() if name != "windows_per_s"}


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


@pytest.mark.parametrize("minutes", [2, None])
def test_a_load_test_that_measures_nothing_in_its_time_names_the_lines_to_set(tmp_path, tiny, monkeypatch, minutes):
    def run(*arguments):
        arguments[-1](f"{OVER}\n")
        raise SlipwayError("Model Analyzer ended with exit code 1")

    monkeypatch.setattr(load_test.model_analyzer, "configuration", lambda *_: {})
    monkeypatch.setattr(load_test.model_analyzer, "run", run)
    server = Installation("t", native_backends=True, folder=tmp_path)
    with pytest.raises(SlipwayError, match="measured no configuration in") as caught:
        load_test.measure({"m_fp32": tiny.engine}, server, tmp_path, replace(SWEEP, minutes=minutes), on_gpu=False)
    assert ("`load_test: {minutes: 8, requests: 5, " in str(caught.value)) == (minutes is not None)


def test_a_sweep_without_figures_is_told(tmp_path, tiny, monkeypatch):
    for name, answer in {"configuration": {}, "run": None, "read_table": []}.items():
        monkeypatch.setattr(load_test.model_analyzer, name, lambda *_, answer=answer, **__: answer)
    server = Installation("t", native_backends=True, folder=tmp_path)
    with pytest.raises(SlipwayError, match="no figures of any configuration"):
        load_test.measure({"m_fp32": tiny.engine}, server, tmp_path, Sweep([1], [2], [4], 30, 100), on_gpu=False)
