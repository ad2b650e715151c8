"""What `snakemake status` says of a receipt, as far as no server is needed."""

import copy
import os

import pytest
from helpers.artifacts.damages import DAMAGES, damage
from helpers.artifacts.receipts import local_receipt
from helpers.models.ready_client import ReadyClient

import status
from slipway.core.artifacts import sha256, write_json
from slipway.deploy import status as program
from slipway.deploy.deployments import deployments
from slipway.deploy.local import reporting
from slipway.deploy.local.model_store import ModelStore
from slipway.monitoring.traffic import Traffic
from slipway.outputs.meaning import LOGITS

CHAIN = {
    "weights_sha256": "17a0c26ae0942a47" + "0" * 48,
    "engine_files": {"resnet50.fp32.openvino.xml": "bbb9fce88cce" + "0" * 52, "r.bin": "fad5d35e62ed" + "0" * 52},
}
TARGET = {
    "version": "v0123456789ab",
    "chain": CHAIN,
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
        "outputs": {
            "logits": {
                "output": LOGITS.record(),
                "top": [{"index": 713, "label": "photocopier", "confidence": 0.711}],
            }
        },
    },
}
SERVER = {"pid": os.getpid(), "listening": {"host": "127.0.0.1", "http": 8000, "grpc": 8001, "metrics": 8002}}
BUSY = Traffic(1234, 5, 2, 10.04, 0.42, {"0.5": 8.5, "0.9": 9.0, "0.99": 31.46})


@pytest.fixture
def server(monkeypatch):
    """Let the server say what a test puts into this list."""
    said = [BUSY]
    monkeypatch.setattr(reporting, "ModelClient", ReadyClient)
    monkeypatch.setattr("slipway.deploy.local.platform.why_no_answer", lambda *_: None)
    monkeypatch.setattr("slipway.deploy.local.server_state.running_server", lambda _: SERVER)
    monkeypatch.setattr(reporting, "read_traffic", lambda *_: said[-1])
    return said


@pytest.fixture
def results(tmp_path):
    """Return results with the weights and the index of the repository that the receipt names."""
    folder = tmp_path / "resnet50"
    write_json(folder / "weights.json", {"sha256": CHAIN["weights_sha256"]})
    write_json(folder / "cpu" / "repository.json", {"files": {"config.pbtxt": "the configuration"}})
    return folder


def receipt(results, target=TARGET, **changed):
    index = sha256(results / "cpu" / "repository.json")
    found = local_receipt("resnet50", 3, SERVER, **changed)
    target = {**target, "chain": {**target["chain"], "repository_index_sha256": index}}
    return copy.deepcopy(found | {"served_as": "resnet50_trt", "targets": {"cpu": target}})


def describe(found, results):
    options = status.parse_arguments(["--results", str(results), "--state", str(results)])
    (deployment,) = deployments(options, "local")
    return program.describe(deployment.platform(found), deployment.history, found, results)


def described(results, target=TARGET, **changed):
    return describe(receipt(results, target, **changed), results)


def test_everything_that_is_asked_about_is_told_in_eighty_columns(server, results):
    lines = described(results)
    shown = "\n".join(lines)
    for told in (
        "resnet50_trt: answers; live on local since 2026-11-23T03:02:11+00:00",
        f"process    {os.getpid()}, 2 instances, batches up to 8",
        "cpu        version 3 (v0123456789ab), weights 17a0c26ae094 (checkpoint)",
        "openvino 2026.4.1, fp32: xml bbb9fce88cce, bin fad5d35e62ed",
        "class scores, of which softmax makes probabilities (logits)",
        "for the first sample: 71.1% photocopier (713)",
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


def test_nothing_says_that_http_is_served_where_it_is_off(server, results, monkeypatch):
    listening = SERVER["listening"] | {"http": None}
    monkeypatch.setattr("slipway.deploy.local.server_state.running_server", lambda _: SERVER | {"listening": listening})
    shown = "\n".join(described(results))
    assert "127.0.0.1: gRPC 8001, metrics 8002" in shown
    assert "HTTP" not in shown


def test_a_release_without_known_vulnerabilities_is_not_cautioned_against(server, results):
    tested = TARGET["smoke_test"] | {"server_version": "2.71.0"}
    assert "VULNERABLE" not in "\n".join(described(results, TARGET | {"smoke_test": tested}))


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
    lines = described(results)
    assert lines[0].startswith("resnet50_trt: does not answer, because its server has ended; ")
    assert f"  the end of {results / 'server.log'}:" in lines
    assert lines[-2:] == ["    signal (11) received", f"  {program.REMEDY}"]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_receipt_is_told_in_a_sentence(results, capsys, content):
    path = damage(results / "deploy" / "receipt.json", content)
    status.main(status.parse_arguments(["--results", str(results), "--state", str(results / "none")]))
    assert f"resnet50: its receipt {path} is damaged; `snakemake --cores 1 deploy`" in capsys.readouterr().err


def test_a_live_model_that_this_configuration_does_not_name_is_shown_and_said_to_be_none_of_its_own(
    server, results, capsys
):
    state = results.parent / ".server"
    write_json(results / "deploy" / "receipt.json", receipt(results, rolled_back_from=4))
    ModelStore(state).ledger.went_live({"resnet50_trt": 3}, last={"resnet50_trt": 3})
    write_json(results.parent / "elsewhere" / "deploy" / "receipt.json", local_receipt("elsewhere"))
    status.main(status.parse_arguments(["--results", str(results.parent / "other"), "--state", str(state)]))
    said = capsys.readouterr().err
    assert "resnet50_trt: answers; live on local since" in said
    assert "  OTHER      not in this configuration; the next deployment undeploys it" in said
    assert "other: not deployed" in said
    assert "elsewhere" not in said
    assert not [word for word in ("STALE", "BACK") if word in said]
    status.main(status.parse_arguments(["--results", str(results), "--state", str(state)]))
    assert "OTHER" not in capsys.readouterr().err


def test_a_rehearsal_and_a_step_back_are_told(server, results):
    shown = "\n".join(described(results, origin="rehearsal", rolled_back_from=4))
    assert "REHEARSAL  random weights" in shown
    assert "version 4 was rolled back" in shown


def newer_index(results, target="cpu"):
    write_json(results / target / "repository.json", {"files": {"config.pbtxt": "another configuration"}})


def test_after_a_step_back_nobody_is_sent_to_deploy_what_was_rolled_back(server, results):
    served = receipt(results, rolled_back_from=4)
    newer_index(results)
    shown = "\n".join(describe(served, results))
    assert "STALE" not in shown
    assert "correct config.yaml or the checkpoint before the next `snakemake deploy`" in shown


def test_a_newer_repository_makes_what_is_live_stale(server, results):
    served = receipt(results)
    newer_index(results)
    assert "STALE" in "\n".join(describe(served, results))


def test_a_newer_checkpoint_makes_what_is_live_stale(server, results):
    write_json(results / "weights.json", {"sha256": "f" * 64})
    assert "STALE" in "\n".join(described(results))


def test_another_targets_repository_makes_nothing_stale(server, results):
    newer_index(results, "l4")
    assert "STALE" not in "\n".join(described(results))


def test_results_that_were_removed_make_nothing_stale(server, results):
    served = receipt(results)
    assert program.is_newest(served, results.parent / "gone")


def test_on_a_gpu_its_memory_is_told_or_that_nobody_tells(server, results, monkeypatch):
    key = TARGET["engine_key"] | {"hardware": "NVIDIA L4 (compute capability 8.9)"}
    on_gpu = TARGET | {"engine_key": key}
    monkeypatch.setattr(reporting.GpuMonitor, "used_memory_mb", lambda _: 2100.4)
    monkeypatch.setattr(reporting.GpuMonitor, "facts", lambda _: {"memory_mb": 24000})
    assert "GPU 2100 of 24000 MB, by every program on it" in "\n".join(described(results, on_gpu))
    monkeypatch.setattr(reporting.GpuMonitor, "used_memory_mb", lambda _: None)
    assert "NVML does not tell the GPU's" in "\n".join(described(results, on_gpu))
