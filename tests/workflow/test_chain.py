"""A small model through the whole chain, with every part real."""

import copy
import csv
import json
import os
import re
import shlex
import signal
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from helpers.artifacts.configured import H100
from helpers.workplace import REPOSITORY
from PIL import Image
from pypdf import PdfReader

import check_accuracy
import evaluate_checkpoint
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import sha256, tree_digest
from slipway.keys.config import complete
from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys
from slipway.keys.validation import resolve
from slipway.load_test.limits import reliable_rate
from slipway.report.formats import moment
from slipway.triton.client.grpc_client import ModelClient, read_metrics
from slipway.triton.repository.model_config import read_config

pytestmark = pytest.mark.slow


def record(workplace, name):
    return json.loads(workplace.path(f"results/{name}").read_text(encoding="utf-8"))


def test_nothing_of_the_path_was_executed(small):
    assert not list(small.folder.parent.rglob("owned"))


def test_the_last_words_are_the_answer_and_how_to_stop(small):
    assert re.search(r"small_trt answers the sample photograph in [\d.]+ ms", small.first_words)
    assert f"gRPC {small.ports.grpc}, metrics http" in small.first_words
    assert "VULNERABLE Triton 24.10, known since 2025-08-04" in small.first_words
    assert "snakemake --cores 1 undeploy" in small.first_words


def test_origin_is_in_every_record_and_a_rehearsal_says_so_loudly(small):
    origin = record(small, "small/weights.json")["origin"]
    records = [path for path in small.folder.glob("results/small/**/*.json") if "repository/" not in str(path)]
    records = [path for path in records if path.stem not in ("samples", "contract", "interface")]  # no figures
    assert len(records) >= 15
    assert {json.loads(path.read_text(encoding="utf-8"))["origin"] for path in records} == {origin}
    if origin == "rehearsal":
        assert small.first_words.count("!! REHEARSAL") == 1
        assert "REHEARSAL: random weights, so these predictions mean nothing" in small.first_words
        for where in ("!! A", "    a"):
            assert f"{where} model whose pretrained weights are in a Python package: make demo" in small.first_words


def test_snakemakes_own_report_shows_the_results_with_captions(small, tmp_path):
    page = tmp_path / "report.html"
    said = small.snakemake("deploy", "--report", page).succeeded().said
    shown = [
        "report.html",
        "small.benchmark.json",
        "throughput_latency.svg",
        "memory_latency.svg",
        "summary.pdf",
        "detail.pdf",
    ]
    assert not [name for name in [*shown, "selection.json", "receipt.json"] if f"Adding {name} (" not in said], said
    text = page.read_text(encoding="utf-8")
    for category in ("Everything", "Benchmark", "Load test", "Selection", "Deployment"):
        assert f'"{category}"' in text
    for path in (REPOSITORY / "docs" / "report").glob("*.rst"):
        words = path.read_text(encoding="utf-8").strip().rpartition("}}")[2]
        assert words in text, f"the caption {path.name} is not shown"
    assert "PyTorch and every engine of small on ort" in text


def test_the_trace_opens_in_tensorboard(small, tmp_path):
    from torch_tb_profiler.consts import WORKER_PATTERN
    from torch_tb_profiler.profiler.data import RunProfileData

    (trace,) = small.path("results/small/profile").glob("*.gz")
    assert WORKER_PATTERN.match(trace.name), "TensorBoard lists only traces with such a name"
    events = RunProfileData.parse("worker", None, str(trace), str(tmp_path)).events
    assert any(event.name == "aten::convolution" for event in events)


def test_profile_accounts_for_the_time(small):
    profile = record(small, "small/profile/profile.json")
    assert 0 < sum(operator["share"] for operator in profile["operators"]) <= 1.05
    assert 0 < profile["cpu_utilisation"] <= 1.05
    assert profile["operators"][0]["self_ms"] == max(operator["self_ms"] for operator in profile["operators"])


def test_onnx_has_a_dynamic_batch_and_agrees_with_pytorch(small):
    model = onnx.load(small.path("results/small/small.onnx"))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    exported = record(small, "small/small.onnx.json")
    assert set(exported["agreement"]) == {"batch 1", "batch 2", "batch 5", "samples", "other values"}
    assert all(found["relative_error"] < 1e-4 for found in exported["agreement"].values())
    assert exported["opset"] == model.opset_import[0].version


@pytest.mark.parametrize(("target", "runtime"), [("cpu", "openvino"), ("ort", "onnxruntime")])
def test_engine_record_states_the_key_and_what_runs(small, target, runtime):
    built = record(small, f"small/{target}/small.fp32.engine.json")
    assert built["key"]["runtime"] == runtime
    assert built["key"]["onnx_sha256"] == sha256(small.path("results/small/small.onnx"))
    assert set(built["layers"]) == {"fp32"}
    for name, expected in built["files"].items():
        assert sha256(small.path(f"results/small/{target}/{name}")) == expected


@pytest.mark.parametrize("target", ["cpu", "ort"])
def test_benchmark_keeps_every_sample(small, target):
    measured = record(small, f"small/{target}/small.benchmark.json")
    assert {(row["subject"], row["batch"]) for row in measured["results"]} == {
        (subject, batch) for subject in ("pytorch", "fp32") for batch in (1, 2)
    }
    for row in measured["results"]:
        samples = measured["samples_ms"][f"{row['subject']}/{row['batch']}/end_to_end"]
        latency = row["latency"]["end_to_end"]
        assert len(samples) == latency["count"]
        assert latency["count"] >= 5 or f"{latency['count']} of 5 samples" in row["not_reached"]
        assert np.isclose(np.percentile(samples, 50), latency["p50_ms"], rtol=1e-3)


def test_the_report_shows_what_was_measured_and_chosen_on_each_target(small):
    page = small.path("results/small/report.html").read_text(encoding="utf-8")
    for target in ("cpu", "ort"):
        chosen = record(small, f"small/{target}/selection.json")
        assert f"Chosen: {chosen['reason']}." in page
        built = record(small, f"small/{target}/small.fp32.engine.json")
        assert all(digest in page for digest in built["files"].values())
    assert page.count("<svg") >= 2 * 4  # latency, throughput, load and time of each target
    assert page.count("data:image/jpeg;base64,") == 2 * 9  # the sample photograph and its variations


def test_the_page_and_the_index_say_what_is_live_and_are_not_stale(small):
    receipt = record(small, "small/deploy/receipt.json")
    since = moment(receipt["deployed_at"])
    for file in ("small/report.html", "index.html"):
        assert f"live since {since} (on this machine)" in small.path(f"results/{file}").read_text(encoding="utf-8")
    assert 'href="small/report.html"' in small.path("results/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["cpu", "ort"])
def test_a_search_measures_what_it_finds_better_and_sets_it_in_pdf(small, target):
    tested = record(small, f"small/{target}/analysis/analysis.json")
    with open(small.path(f"results/small/{target}/analysis/analysis.csv"), encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(tested["measurements"])
    assert (tested["search"], tested["left_out"]) == ("quick", [])
    # config.pbtxt itself with twice as many as its batch, then each number within the bounds.
    points = [(row["concurrency"], row["instances"], row["max_batch_size"]) for row in tested["measurements"]]
    assert sorted(points) == [(1, 1, 4), (2, 1, 4), (8, 1, 4)]
    assert {row["queue_delay_us"] for row in tested["measurements"]} == {100}
    steady = [row for row in tested["measurements"] if row["verdict"] == "steady" and not row["shortened"]]
    assert len(list(small.path(f"results/.measured/small/{target}").glob("*.json"))) == len(steady)
    assert all(row["throughput_per_s"] > 0 and row["memory_mb"] > 50 for row in tested["measurements"])
    chosen = record(small, f"small/{target}/selection.json")
    for name in ("summary", "detail"):
        report = PdfReader(small.path(f"results/small/{target}/analysis/{name}.pdf"))
        text = " ".join(" ".join(page.extract_text() for page in report.pages).split())
        assert f"of small on {target}" in text
        assert " ".join(chosen["reason"].split()) in text
        assert tested["measured_at"][:10] in text
        shown = tested["measurements"] if name == "detail" else [chosen["measured"]]
        for row in shown:
            assert all(f"{row[figure]:,.1f}" in text for figure in ("throughput_per_s", "p50_ms", "p90_ms", "p99_ms"))
    for name in ("throughput_latency", "memory_latency"):
        chart = small.path(f"results/small/{target}/analysis/{name}.svg").read_text(encoding="utf-8")
        assert "p99 latency in ms" in chart


@pytest.mark.parametrize("target", ["cpu", "ort"])
def test_the_open_loop_finds_a_capacity_or_says_why_not(small, target):
    found = record(small, f"small/{target}/capacity.json")
    tested = small.path(f"results/small/{target}/analysis/analysis.json")
    assert found["chosen_from"]["load_test_sha256"] == sha256(tested)
    [measured] = found["configurations"]
    assert measured["points"]
    for point in measured["points"]:
        assert point["outcome"] in ("holds", "breaks", "not sent")
        assert point["requests"] == 0 or point["p50_ms"] > 0
    holds, breaks = measured["holds_at"], measured["breaks_at"]
    if holds:
        assert measured["capacity_per_s"] == holds["sent_per_s"]
        assert holds["answered_per_s"] == pytest.approx(holds["sent_per_s"], rel=0.15), "answers kept up with requests"
        assert holds["tail_ms"] <= found["limits"]["p99_ms"]
        assert ("p99_ms" in holds) == (holds["requests"] >= 100)
    if holds and breaks and breaks["requests"]:
        assert holds["sent_per_s"] < breaks["sent_per_s"]
    selected = record(small, f"small/{target}/selection.json")
    assert selected["capacity"]["capacity_per_s"] == measured["capacity_per_s"]
    assert measured["words"] in selected["reason"]


def test_served_configuration_is_the_selected_one(small):
    selected = record(small, "small/cpu/selection.json")
    best = max(
        reliable_rate(row)
        for row in record(small, "small/cpu/analysis/analysis.json")["measurements"]
        if row["p99_ms"] <= selected["limits"]["p99_ms"]
    )
    is_close = reliable_rate(selected["measured"]) >= 0.9 * best
    assert is_close or "within the noise of the most" in selected["reason"]
    [chosen] = [entry for entry in selected["candidates"] if entry["chosen"]]
    assert (chosen["broken"], chosen["queue_delay_us"]) == ([], 100)
    assert any(entry["on_front"] for entry in selected["candidates"])
    written = read_config(small.path("results/small/cpu/repository/small_trt/config.pbtxt"))
    assert written.backend == "openvino"
    assert written.max_batch_size == selected["max_batch_size"]
    assert written.dynamic_batching.max_queue_delay_microseconds == selected["queue_delay_us"] == 100
    assert written.instance_group[0].count == selected["instances"]
    stated = json.loads(written.parameters["preprocess"].string_value)
    assert (stated["resize"], stated["crop"]) == (72, 64)
    with ModelClient(small.ports, "small_trt") as client:
        running = client.config()
    assert running.backend == "python"
    assert running.max_batch_size == selected["max_batch_size"]
    assert [tensor.dims for tensor in running.input] == [tensor.dims for tensor in written.input]


def test_records_page_receipt_and_predict_agree_on_what_the_photograph_shows(small):
    reference, receipt = record(small, "small/reference_outputs.json"), record(small, "small/deploy/receipt.json")
    served, reference = receipt["targets"]["cpu"]["smoke_test"]["outputs"]["logits"], reference["outputs"]["logits"]
    assert reference["output"]["kind"] == served["output"]["kind"] == "logits"
    asked = small.program("predict", "--json").succeeded().said
    (picture,) = json.loads(asked[asked.index("{") :])["pictures"]
    for found in (served, picture):
        assert [each["label"] for each in found["top"]] == [each["label"] for each in reference["top"]]
        np.testing.assert_allclose(
            [each["confidence"] for each in found["top"]], [each["confidence"] for each in reference["top"]], atol=1e-4
        )
    page = small.path("results/small/report.html").read_text(encoding="utf-8")
    best = reference["top"][0]
    assert f"{best['confidence']:.1%} {best['label']} ({best['index']})" in page


def test_receipt_chains_weights_to_the_served_files(small):
    receipt = record(small, "small/deploy/receipt.json")["targets"]["cpu"]
    assert receipt["chain"]["weights_sha256"] == sha256(small.path("results/small/weights.safetensors"))
    assert receipt["chain"]["onnx_sha256"] == sha256(small.path("results/small/small.onnx"))
    assert receipt["chain"]["repository_index_sha256"] == sha256(small.path("results/small/cpu/repository.json"))
    assert receipt["served_files"] == tree_digest(small.path("results/small/cpu/repository/small_trt"))
    assert set(receipt["chain"]["engine_files"].values()) <= set(receipt["served_files"].values())
    assert receipt["smoke_test"]["agreement"]["relative_error"] < 1e-3
    assert receipt["smoke_test"]["requests_counted"] >= 10


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_server_gives_pytorchs_answer_for_any_batch_and_counts_it(small, batch):
    reference = ReferenceOutputs.read(small.path("results/small/reference_outputs.npz")).request
    with ModelClient(small.ports, "small_trt") as client:
        (before,) = client.successes_by_version().values()
        answer = client.infer({"input": np.repeat(reference.inputs["input"], batch, axis=0)})
        assert client.successes(answer.version, at_least=before + 1) == before + 1
    logits = answer.outputs["logits"]
    assert logits.shape == (batch, 1000)
    np.testing.assert_allclose(logits, np.repeat(reference.outputs["logits"], batch, axis=0), rtol=1e-3, atol=1e-3)


def test_server_listens_on_loopback_only(small):
    receipt = record(small, "small/deploy/receipt.json")
    listening = [
        connection.laddr
        for connection in psutil.Process(receipt["contents"]["server"]["pid"]).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} == {small.ports.grpc, small.ports.metrics}
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_metrics_are_prometheus_and_name_the_model(small):
    assert read_metrics(small.ports)["nv_inference_request_success", "small_trt", "1"] >= 10


def test_accuracy_on_a_folder_of_photographs(small, tmp_path):
    """On real photographs where SLIPWAY_TEST_IMAGES names some, else on drawn ones; the file names tell the class."""
    folder = Path(os.environ.get("SLIPWAY_TEST_IMAGES", tmp_path / "drawn"))
    if not folder.is_dir():
        folder.mkdir()
        for index in range(12):
            pixels = np.random.default_rng(index).integers(0, 255, (90, 120, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((240, 180)).save(folder / f"{index}_drawn.jpg")
    keys = JobKeys(resolve(complete(copy.deepcopy(small.config))))
    results = small.path("results/small")
    common = {"labelled": folder, "labelled_sha256": None, "max_samples": 12, "evaluation": tmp_path / "evaluation.npz"}
    common["labels"] = results / "labels.txt"
    options = common | {
        "weights": results / "weights.safetensors",
        "weights_record": results / "weights.json",
        "contract": results / "contract.json",
        "output": tmp_path / "pytorch.json",
    }
    planned = keys.evaluate_checkpoint("small") | options
    evaluate_checkpoint.main(evaluate_checkpoint.parse_arguments(shlex.split(str(JobKey(planned)))))
    options = common | {
        "reference": results / "reference_outputs.npz",
        "engine_record": results / "cpu" / "small.fp32.engine.json",
        "output": tmp_path / "accuracy.json",
    }
    planned = keys.check_accuracy("small", "cpu", "fp32") | options
    check_accuracy.main(check_accuracy.parse_arguments(shlex.split(str(JobKey(planned)))))
    found = json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8"))
    assert found["evaluation"]["images"] == found["evaluation"]["labelled"] == 12
    assert found["evaluation"]["top1_agreement"] == 1
    assert found["evaluation"]["engine"] == found["evaluation"]["pytorch"]
    assert found["proven_on_labels"]


def test_a_second_deploy_has_nothing_to_do(small):
    assert "Nothing to be done" in small.snakemake("deploy").succeeded().said


def test_status_shows_what_is_live(small):
    shown = small.snakemake("status").succeeded().said
    receipt = record(small, "small/deploy/receipt.json")
    assert f"process    {receipt['contents']['server']['pid']}" in shown
    assert receipt["targets"]["cpu"]["chain"]["weights_sha256"][:12] in shown
    assert "STALE" not in shown


def test_changing_a_limit_measures_only_the_capacity_again(small):
    small.configure("load_test.p99_limit_ms", 9_000)
    planned = small.snakemake("-n", "deploy").succeeded().said
    small.configure("load_test.p99_limit_ms", 10_000)
    assert "choose_configuration" in planned
    assert "measure_capacity" in planned
    for untouched in ("build_openvino", "benchmark ", "load_test ", "export_onnx"):
        assert not re.search(rf"^{untouched}", planned, re.MULTILINE)


def test_a_dead_server_is_started_again_and_nothing_else_is_made(small):
    before = {path: path.stat().st_mtime_ns for path in small.folder.glob("results/small/cpu/*.json")}
    pid = record(small, "small/deploy/receipt.json")["contents"]["server"]["pid"]
    for engine in psutil.Process(pid).children():
        engine.kill()
    planned = small.snakemake("-n", "deploy").succeeded().said
    assert "small_trt does not answer, because" in planned
    assert "the server has ended or does not answer: start 1 -> 2" in planned
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)
    assert "its server has ended" in small.snakemake("status").succeeded().said
    output = small.snakemake("deploy").succeeded().said
    assert re.search(r"^deploy_release +1$", output, re.MULTILINE)
    assert re.search(r"^total +2$", output, re.MULTILINE)
    assert record(small, "small/deploy/receipt.json")["contents"]["server"]["pid"] != pid
    assert {path: path.stat().st_mtime_ns for path in small.folder.glob("results/small/cpu/*.json")} == before
    assert "Nothing to be done" in small.snakemake("deploy").succeeded().said


def test_a_new_deployment_is_tried_beside_the_live_one_and_taken_by_it(small):
    before = record(small, "small/deploy/receipt.json")
    output = small.snakemake("--forcerun", "deploy_release", "--", "deploy").succeeded().said
    assert "testing the new version on a second server first" in output
    assert "loading the new version in the live server" in output
    after = record(small, "small/deploy/receipt.json")
    assert after["contents"]["server"] == before["contents"]["server"]
    assert after["number"] == before["number"], "the same files are the same version"
    assert after["deployed_at"] >= before["deployed_at"]
    assert "Nothing to be done" in small.snakemake("deploy").succeeded().said


def test_what_cannot_be_built_any_more_is_still_shown_and_stopped(small):
    """The photograph is gone, and the Triton that is to serve a second target has another TensorRT."""
    pid, config = record(small, "small/deploy/receipt.json")["contents"]["server"]["pid"], copy.deepcopy(small.config)
    locked = {"runtime": "tensorrt", "hardware": H100, "precisions": ["fp16"], "tensorrt": {"version": "10.9.0.34"}}
    small.config["targets"]["h100"], small.config["triton"] = locked, {"release": "25.09"}
    small.configure("image", "gone.jpg")
    assert f"process    {pid}" in small.snakemake("status").succeeded().said
    small.snakemake("undeploy").succeeded()
    assert not psutil.pid_exists(pid)
    assert not small.path("results/small/deploy/receipt.json").exists()
    small.config = config
    small.write_config()
    assert "not deployed" in small.snakemake("status").succeeded().said
    assert small.path("results/small/cpu/repository.json").exists()
