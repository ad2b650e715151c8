"""predict.py against a real tritonserver that serves a tiny model: answers, refusals, shared memory."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers.artifacts.receipts import local_receipt
from helpers.models.random_images import photograph_batch
from helpers.models.tiny_engine import CROP
from helpers.pages import blocks
from helpers.patience import PATIENCE_S
from helpers.predicting import (
    IMAGENET,
    PICTURES,
    RESIZE,
    command,
    predict,
    regions,
    require_expected,
    said_by,
    served,
    to,
)

from slipway.core.artifacts import write_json
from slipway.deploy.local import server_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(repository, folder):
    """Return a live server that speaks in the clear."""
    with served(repository, folder / "plain") as server:
        server.wait_until_ready(PATIENCE_S)
        yield server


def test_a_table_has_a_line_for_each_picture_and_its_sum(server, pictures, expected):
    printed, outcome = predict(to(server, pictures, "--top", 2))
    outcome.succeeded()
    *lines, total, requests = printed.splitlines()
    for line, (file, classes) in zip(lines, expected.items(), strict=True):
        best = f"{classes[0]['confidence']:.1%} {classes[0]['label']} ({classes[0]['index']}), "
        assert re.fullmatch(rf"{re.escape(file)}  +[\d.]+ ms  {re.escape(best)}.*", line)
    assert total.startswith(f"{PICTURES} answered, 0 not, by tiny at 127.0.0.1:{server.ports.grpc}: ")
    assert re.fullmatch(r"requests: 2, of up to 4 pictures each; latency p50 [\d.]+ ms, p99 [\d.]+ ms", requests)


@pytest.mark.parametrize("options", [(), ("--shared-memory",)], ids=["network", "shared_memory"])
@pytest.mark.parametrize(("batch", "requests"), [(1, 7), (3, 3), (4, 2)])
def test_json_has_the_engines_own_answers(server, pictures, expected, options, batch, requests):
    found, outcome = predict(to(server, pictures, "--json", "--batch", batch, *options))
    outcome.succeeded()
    require_expected(found, expected)
    assert (found["model"], found["input"], found["batch"]) == ("tiny", "uint8", batch)
    assert found["summary"]["requests"] == requests
    assert {(picture["attempts"], picture["version"]) for picture in found["pictures"]} == {(1, "1")}
    assert regions(server) == {}


def test_a_tensor_is_shown_as_numbers_and_no_class(server, pictures, tiny):
    files = sorted(pictures.iterdir())
    values = tiny.engine.load().infer({"input": photograph_batch(files, IMAGENET, "uint8")})["logits"]
    found, outcome = predict(to(server, pictures, "--json", model="numbers"))
    outcome.succeeded()
    assert found["output"]["kind"] == "tensor"
    for picture, row in zip(found["pictures"], values, strict=True):
        assert "top" not in picture
        np.testing.assert_allclose(picture["tensor"]["values"], row, rtol=1e-4)
    printed, outcome = predict(to(server, pictures, model="numbers"))
    outcome.succeeded()
    assert "class" not in printed.replace("outputs: numbers that are no class scores", "")
    assert "%" not in printed


def test_classes_by_themselves_have_each_a_sigmoid(server, pictures, tiny):
    files = sorted(pictures.iterdir())
    values = tiny.engine.load().infer({"input": photograph_batch(files, IMAGENET, "uint8")})["logits"].astype(float)
    found, outcome = predict(to(server, pictures, "--json", "--top", 5, model="several"))
    outcome.succeeded()
    for picture, row in zip(found["pictures"], 1 / (1 + np.exp(-values)), strict=True):
        by_index = {top["index"]: top["confidence"] for top in picture["top"]}
        np.testing.assert_allclose([by_index[index] for index in range(5)], row, atol=1e-4)
        assert picture["threshold"] == 0.5
        assert len(picture["present"]) == (row >= 0.5).sum()


def test_what_a_server_does_not_say_is_assumed_aloud_and_may_be_stated(server, pictures):
    printed, outcome = predict(to(server, pictures, model="float"))
    outcome.succeeded()
    assert "(logits); the server does not say, and this is usual" in printed
    found, outcome = predict(to(server, pictures, "--json", "--output-meaning", "tensor", model="float"))
    outcome.succeeded()
    assert found["output"] == {
        "kind": "tensor",
        "activation": None,
        "negative": None,
        "reason": found["output"]["reason"],
    }
    assert all("tensor" in picture for picture in found["pictures"])
    refused = predict(to(server, pictures, "--output-meaning", "tensor"))[1]
    refused.refused("--output-meaning tensor contradicts the server: the outputs of tiny are")


def test_a_model_that_takes_floats_is_fed_normalised_ones(server, pictures, normalised):
    found, outcome = predict(to(server, pictures, "--json", model="float"))
    outcome.succeeded()
    require_expected(found, said_by(normalised, pictures))
    assert found["input"] == "float32"


def test_the_documented_client_gets_the_engines_answer(server, pictures, normalised):
    (program,) = blocks("docs/clients.md", "python")
    photograph, answers = list(said_by(normalised, pictures).items())[-1]
    here = {"photo.jpg": photograph, "8001": str(server.ports.grpc), "resnet50_trt": "float"}
    for there, instead in {**here, "224": str(CROP), "232": str(RESIZE)}.items():
        program, changes = re.subn(rf"(?<!\.){re.escape(there)}", instead, program)  # 224 pixels, but not 0.224
        assert changes
    printed, outcome = predict([sys.executable, "-c", program])
    outcome.succeeded()
    said = [line.split(":")[1:] for line in printed.splitlines()]
    assert said == [[str(answer["index"]), answer["label"]] for answer in answers[:3]]


def test_a_broken_picture_is_named_and_the_others_are_answered(server, pictures, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more")
    found, outcome = predict(to(server, broken, pictures, tmp_path / "missing.png", "--json"))
    outcome.refused(f"no answer for {broken}", "2 of 9 photographs have no answer")
    assert found["summary"]["answered"] == PICTURES
    assert [failed["file"] for failed in found["failed"]] == [str(broken), str(tmp_path / "missing.png")]

    found, outcome = predict(to(server, broken, pictures, "--json", "--strict"))
    outcome.refused(str(broken))
    assert found["summary"]["answered"] == 0


REFUSED = {
    "unknown model": (
        ["--model", "resnet"],
        ["there is no model resnet: ready are float, numbers, several, slow, tiny"],
    ),
    "unknown version": (["--model-version", "9"], ["no version 9 that is ready, but 1"]),
    "no version": (["--model-version", "new"], ["the server refused", "specified version string"]),
    "too large a batch": (["--batch", 5], ["takes at most 4 pictures a request, not 5; give --batch 4"]),
    "wrong size": (["--crop", 32], ["takes 16 x 16 pixels, not --crop 32"]),
    "other output": (["--output", "scores"], ["no output scores; name the scores with --output: logits"]),
    "TLS": (["--tls"], ["no Triton answers", "does not speak TLS. Leave --tls out"]),
}


@pytest.mark.parametrize(("options", "phrases"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_in_words(server, pictures, options, phrases):
    predict(to(server, pictures, *options))[1].refused(*phrases)


def test_one_of_several_models_must_be_named(server, pictures):
    _, outcome = predict(command("--url", f"127.0.0.1:{server.ports.grpc}", pictures))
    outcome.refused("name the model with --model: ready are float, numbers, several, slow, tiny")


@pytest.mark.parametrize("port", ["http", "metrics"])
def test_another_port_than_grpcs_is_told(server, pictures, port):
    _, outcome = predict(command("--url", f"127.0.0.1:{getattr(server.ports, port)}", "--retries", 0, pictures))
    outcome.refused("no Triton answers", "Is it the gRPC port? Triton's is 8001")


def test_a_request_that_is_late_fails_alone(server, pictures, tiny):
    options = ["--labels", tiny.labels, "--deadline-ms", 300, "--json", "--retries", 0]
    found, outcome = predict(to(server, pictures / "0.png", *options, model="slow"))
    outcome.refused("no answer within 300 ms", "1 of 1 photographs have no answer")
    assert len(found["failed"]) == 1
    found, outcome = predict(to(server, pictures / "0.png", "--json", model="slow"))
    outcome.succeeded()
    assert found["summary"]["request_ms"]["p50"] > 500


def test_the_server_forgets_the_shared_memory_of_a_client_that_is_ended(server, pictures):
    asking = subprocess.Popen(to(server, *[pictures] * 500, "--shared-memory", "--batch", 1), stdout=subprocess.PIPE)
    asking.stdout.readline()
    assert len(regions(server)) == 1
    asking.terminate()
    printed, _ = asking.communicate(timeout=PATIENCE_S)
    assert b" answered, 0 not, by tiny" in printed
    assert asking.returncode == 128 + signal.SIGTERM
    assert regions(server) == {}


def test_without_a_url_this_checkouts_own_deployment_is_asked(server, pictures, expected, tmp_path):
    results = tmp_path / "results"
    state = server_state.write_state(results / ".server", server.process.pid, 1, vars(server.ports), None, server.id)
    chain = {"weights_sha256": "a" * 64}
    receipt = local_receipt("net", server=state, served_as="tiny", origin="rehearsal")
    write_json(results / "net" / "deploy" / "receipt.json", receipt)
    proven = {"resize": RESIZE, "crop": CROP, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    write_json(results / "net" / "reference_outputs.json", {**chain, "preprocess": proven})
    found, outcome = predict(command(pictures, "--json"), cwd=tmp_path)
    outcome.succeeded()
    require_expected(found, expected)
    assert found["preprocessing"] == proven

    write_json(results / "net" / "reference_outputs.json", {"weights_sha256": "b" * 64, "preprocess": proven})
    printed, outcome = predict(command(pictures), cwd=tmp_path)
    assert "other weights were built since the deployment" in outcome.said
    assert printed.endswith("REHEARSAL: random weights, so these predictions mean nothing\n")
