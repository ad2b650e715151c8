"""What `snakemake status` says of a receipt, as far as no server is needed."""

import copy
import os

import pytest
from helpers.artifacts.damages import DAMAGES, damage
from helpers.models.ready_client import ReadyClient

import status
from slipway.core.artifacts import tree_digest, write_json
from slipway.monitoring.traffic import Traffic

RECEIPT = {
    "origin": "checkpoint",
    "served_as": "resnet50_trt",
    "version": 3,
    "deployed_at": "2026-11-23T03:02:11+00:00",
    "server": {"pid": os.getpid(), "listening": {"host": "127.0.0.1", "http": 8000, "grpc": 8001, "metrics": 8002}},
    "chain": {
        "weights_sha256": "17a0c26ae0942a47" + "0" * 48,
        "engine_files": {"resnet50.fp32.openvino.xml": "bbb9fce88cce" + "0" * 52, "r.bin": "fad5d35e62ed" + "0" * 52},
    },
    "engine_key": {
        "runtime": "openvino",
        "runtime_version": "2026.4.1",
        "precision": "fp32",
        "hardware": "AMD EPYC [avx2] x2",
    },
    "smoke_test": {
        "instances": 2,
        "max_batch_size": 8,
        "server_version": "2.51.0",
        "top": [{"index": 713, "label": "photocopier", "confidence": 0.711}],
    },
}
BUSY = Traffic(1234, 5, 2, 10.04, 0.42, {"0.5": 8.5, "0.9": 9.0, "0.99": 31.46})


@pytest.fixture
def server(monkeypatch):
    """Let the server say what a test puts into this list."""
    said = [BUSY]
    monkeypatch.setattr("slipway.triton.client.grpc_client.ModelClient", ReadyClient)
    monkeypatch.setattr("slipway.deploy.local.liveness.why_no_answer", lambda *_: None)
    monkeypatch.setattr("slipway.deploy.local.server_state.running_server", lambda _: RECEIPT["server"])
    monkeypatch.setattr("slipway.monitoring.traffic.read_traffic", lambda *_: said[-1])
    return said


@pytest.fixture
def results(tmp_path):
    """Return results in which a repository lies, and put what it holds into the receipt."""
    folder = tmp_path / "resnet50"
    model = folder / "cpu" / "repository" / "resnet50_trt"
    model.mkdir(parents=True)
    (model / "config.pbtxt").write_text("the configuration")
    write_json(folder / "weights.json", {"sha256": RECEIPT["chain"]["weights_sha256"]})
    return folder


def receipt(results, **changed):
    served = tree_digest(results / "cpu" / "repository" / "resnet50_trt")
    return {**copy.deepcopy(RECEIPT), "served_files": served, **changed}


def described(results, **changed):
    return status.describe(receipt(results, **changed), results, results)


def test_everything_that_is_asked_about_is_told_in_eighty_columns(server, results):
    lines = described(results)
    shown = "\n".join(lines)
    for told in (
        f"resnet50_trt: answers, live since 2026-11-23T03:02:11+00:00, process {os.getpid()}",
        "version    3, weights 17a0c26ae094 (checkpoint)",
        "openvino 2026.4.1, fp32: xml bbb9fce88cce, bin fad5d35e62ed",
        "2 instance(s), batches up to 8",
        "class scores, of which softmax makes probabilities (logits)",
        "the sample photograph's: 71.1% photocopier (713)",
        "127.0.0.1: gRPC 8001, HTTP 8000, metrics 8002",
        "1234 answered, 5 failed, 2 waiting",
        "p50 8.5 ms, p99 31.5 ms in the last minute",
        "mean 10.0 ms since it was loaded, 0.4 ms of it queued",
        "MB, of server and engines",
        "VULNERABLE Triton 24.10, known since 2025-08-04 (CVE-2025-23310",
    ):
        assert told in shown
    assert max(map(len, lines)) <= 80
    assert not [word for word in ("STALE", "REHEARSAL", "ABSENT", "BACK", "GPU") if word in shown]


def test_nothing_says_that_http_is_served_where_it_is_off(server, results):
    listening = {"host": "127.0.0.1", "http": None, "grpc": 8001, "metrics": 8002}
    shown = "\n".join(described(results, server={"pid": os.getpid(), "listening": listening}))
    assert "127.0.0.1: gRPC 8001, metrics 8002" in shown
    assert "HTTP" not in shown


def test_a_release_without_known_vulnerabilities_is_not_cautioned_against(server, results):
    tested = RECEIPT["smoke_test"] | {"server_version": "2.71.0"}
    assert "VULNERABLE" not in "\n".join(described(results, smoke_test=tested))


def test_a_quiet_minute_has_no_quantiles(server, results):
    server.append(Traffic(0, 0, 0, 0.0, 0.0, {}))
    assert "no requests in the last minute" in "\n".join(described(results))


def test_a_version_that_is_not_there_is_told(server, results):
    server.append(None)
    shown = "\n".join(described(results))
    assert "ABSENT     the server has no version 3 of it" in shown
    assert "answered" not in shown


def test_a_server_that_ended_is_told_with_the_end_of_its_log(results):
    (results / "server.log").write_text("first\n" * 9 + "signal (11) received\n", encoding="utf-8")
    lines = status.describe(receipt(results), results, results)
    assert lines[0] == "resnet50_trt: does not answer, because its server has ended"
    assert lines[1] == f"  the end of {results / 'server.log'}:"
    assert lines[-2:] == ["    signal (11) received", f"  {status.MENDED}"]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_receipt_is_told_in_a_sentence(results, capsys, content):
    path = damage(results / "deploy" / "receipt.json", content)
    status.main(status.parse_arguments(["--receipts", str(path), "--state", str(results / "none")]))
    assert f"resnet50: its receipt {path} is damaged; `snakemake --cores 1 deploy`" in capsys.readouterr().err


def test_a_rehearsal_and_a_step_back_are_told(server, results):
    shown = "\n".join(described(results, origin="rehearsal", rolled_back_from=4))
    assert "REHEARSAL  random weights" in shown
    assert "version 4 was rolled back" in shown


def test_after_a_step_back_nobody_is_sent_to_deploy_what_was_rolled_back(server, results):
    served = receipt(results, rolled_back_from=4)
    (results / "cpu" / "repository" / "resnet50_trt" / "config.pbtxt").write_text("that of version 4")
    shown = "\n".join(status.describe(served, results, results))
    assert "STALE" not in shown
    assert "`snakemake deploy` serves what config.yaml says: put it right first" in shown


def test_a_newer_repository_makes_what_is_live_stale(server, results):
    served = receipt(results)
    (results / "cpu" / "repository" / "resnet50_trt" / "config.pbtxt").write_text("another configuration")
    assert "STALE" in "\n".join(status.describe(served, results, results))


def test_a_newer_checkpoint_makes_what_is_live_stale(server, results):
    write_json(results / "weights.json", {"sha256": "f" * 64})
    assert "STALE" in "\n".join(described(results))


def test_another_targets_repository_makes_nothing_stale(server, results):
    other = results / "l4" / "repository" / "resnet50_trt"
    other.mkdir(parents=True)
    (other / "config.pbtxt").write_text("that of a GPU")
    assert "STALE" not in "\n".join(described(results))


def test_results_that_were_removed_make_nothing_stale(server, results):
    served = receipt(results)
    assert status.is_newest(served, results.parent / "gone")


def test_on_a_gpu_its_memory_is_told_or_that_nobody_tells(server, results, monkeypatch):
    key = RECEIPT["engine_key"] | {"hardware": "NVIDIA L4 (compute capability 8.9)"}
    monkeypatch.setattr(status.GpuMonitor, "used_memory_mb", lambda _: 2100.4)
    monkeypatch.setattr(status.GpuMonitor, "facts", lambda _: {"memory_mb": 24000})
    assert "GPU 2100 of 24000 MB, by every program on it" in "\n".join(described(results, engine_key=key))
    monkeypatch.setattr(status.GpuMonitor, "used_memory_mb", lambda _: None)
    assert "NVML does not tell the GPU's" in "\n".join(described(results, engine_key=key))
