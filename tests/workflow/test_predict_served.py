"""predict.py against a real tritonserver that serves a tiny model: answers, failures, TLS, shared memory, restarts."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tritonclient.grpc as triton
from certificates import Authority
from PIL import Image
from tiny_engine import CLASSES, CROP, tiny_engine
from workplace import REPOSITORY, Outcome

from slipway import local_server
from slipway.agreement import top_classes
from slipway.artifacts import write_json
from slipway.images import Preprocessing
from slipway.inputs import photograph_batch
from slipway.triton.repository import served_model, write_model
from slipway.triton.server import Ports, Server, find_installation, stop_process

pytestmark = pytest.mark.slow

MAX_BATCH = 4
PICTURES = 7
RESIZE = 20
IMAGENET = Preprocessing(RESIZE, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LABELS = [f"class {index}" for index in range(CLASSES)]
SLEEPY = "    def execute(self, requests: list) -> list:\n"
NEVER_SLOW = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def tiny(folder):
    return tiny_engine(folder, input_dtype="uint8")


@pytest.fixture(scope="module")
def normalised(folder):
    """Return an engine of the same weights that takes normalised float32."""
    (folder / "normalised").mkdir()
    return tiny_engine(folder / "normalised", input_dtype="float32")


@pytest.fixture(scope="module")
def repository(folder, tiny, normalised):
    """Return a repository with both, as `tiny` and `float`, and the model `slow` that sleeps over each request."""
    for name, model in {"tiny": tiny, "float": normalised, "slow": tiny}.items():
        described = served_model(name, model.engine, CROP, CLASSES, MAX_BATCH, 1)
        write_model(folder / "repository" / name, described, model.engine, model.labels)
    adapter = folder / "repository" / "slow" / "1" / "model.py"
    text = adapter.read_text(encoding="utf-8")
    assert SLEEPY in text
    adapter.write_text(text.replace(SLEEPY, f"{SLEEPY}        time.sleep(0.5)\n"), encoding="utf-8")
    return folder / "repository"


@pytest.fixture(scope="module")
def pictures(folder):
    """Return a folder of pictures, so dark that the model is not sure of any."""
    (folder / "pictures").mkdir()
    random = np.random.default_rng(3)
    for index in range(PICTURES):
        pixels = random.integers(0, random.integers(1, 6, 3), (24 + index, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")
    return folder / "pictures"


@pytest.fixture(scope="module")
def expected(tiny, pictures):
    """Return what `tiny` has to say of each picture."""
    return said_by(tiny, pictures)


def said_by(model, pictures):
    """Return what a model's engine itself says of each picture: {file: classes}."""
    files = sorted(pictures.iterdir())
    logits = model.engine.load().infer(photograph_batch(files, IMAGENET, str(model.batch.dtype)))
    return {str(file): top_classes(row, LABELS) for file, row in zip(files, logits, strict=True)}


def served(repository, workspace, *flags, ports=None):
    """Return a server of the repository, not started yet."""
    installation = find_installation(workspace, {"a backend that no server has"})
    installation = replace(installation, flags=(*installation.flags, *flags))
    return Server(installation, [repository], ports or Ports.free(), workspace / "server.log")


@pytest.fixture(scope="module")
def server(repository, folder):
    """Return a live server that speaks in the clear."""
    with served(repository, folder / "plain") as server:
        server.wait_until_ready(60)
        yield server


def command(*options):
    return [sys.executable, str(REPOSITORY / "scripts" / "predict.py"), *map(str, options)]


def to(server, *options, model="tiny"):
    """Return the command that asks a model of a server."""
    return command("--url", f"127.0.0.1:{server.ports.grpc}", "--model", model, "--resize", RESIZE, *options)


def predict(arguments, **more):
    """Run a command; return what it printed, as JSON where it is that, and how it ended with both streams' words."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=NEVER_SLOW, **more)
    printed = json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout
    return printed, Outcome(done.returncode, done.stderr + done.stdout)


def require_expected(found, expected):
    """Require the same classes, in the same order, as confident as the engine itself."""
    assert [picture["file"] for picture in found["pictures"]] == list(expected)
    for picture in found["pictures"]:
        wanted = expected[picture["file"]]
        assert [top["label"] for top in picture["top"]] == [top["label"] for top in wanted]
        np.testing.assert_allclose(
            [top["confidence"] for top in picture["top"]], [top["confidence"] for top in wanted], atol=1e-4
        )


def regions(server):
    """Return the shared memory that the server knows."""
    with triton.InferenceServerClient(f"127.0.0.1:{server.ports.grpc}") as client:
        return client.get_system_shared_memory_status(as_json=True).get("regions", {})


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


def test_a_model_that_takes_floats_is_fed_normalised_ones(server, pictures, normalised):
    found, outcome = predict(to(server, pictures, "--json", model="float"))
    outcome.succeeded()
    require_expected(found, said_by(normalised, pictures))
    assert found["input"] == "float32"


def test_the_readmes_client_gets_the_engines_answer(server, pictures, normalised):
    (program,) = re.findall(
        r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
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
    "unknown model": (["--model", "resnet"], ["there is no model resnet: ready are float, slow, tiny"]),
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
    outcome.refused("name the model with --model: ready are float, slow, tiny")


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
    printed, _ = asking.communicate(timeout=NEVER_SLOW)
    assert b" answered, 0 not, by tiny" in printed
    assert asking.returncode == 128 + signal.SIGTERM
    assert regions(server) == {}


def test_without_a_url_this_checkouts_own_deployment_is_asked(server, pictures, expected, tmp_path):
    results = tmp_path / "results"
    state = local_server.write_state(results / ".server", server.process.pid, 1, vars(server.ports))
    chain = {"weights_sha256": "a" * 64}
    receipt = {"model": "net", "served_as": "tiny", "origin": "rehearsal", "server": state, "chain": chain}
    write_json(results / "net" / "deploy" / "receipt.json", receipt)
    proven = {"resize": RESIZE, "crop": CROP, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    write_json(results / "net" / "golden.json", {**chain, "key": {**proven, "input": "uint8"}})
    found, outcome = predict(command(pictures, "--json"), cwd=tmp_path)
    outcome.succeeded()
    require_expected(found, expected)
    assert found["preprocessing"] == proven

    write_json(results / "net" / "golden.json", {"weights_sha256": "b" * 64, "key": proven})
    printed, outcome = predict(command(pictures), cwd=tmp_path)
    assert "other weights were built since the deployment" in outcome.said
    assert printed.endswith("REHEARSAL: random weights, so these predictions mean nothing\n")


# A server that comes and goes


def test_a_server_that_is_not_there_yet_is_waited_for(repository, pictures, tmp_path):
    server = served(repository, tmp_path)
    asking = subprocess.Popen(
        to(server, pictures, "--json", "--retries", 100), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with server:
        printed, said = asking.communicate(timeout=NEVER_SLOW)
    assert asking.returncode == 0, said
    assert json.loads(printed)["summary"]["answered"] == PICTURES


def test_nobody_there_is_told_after_the_retries(pictures):
    port = Ports.free().grpc
    _, outcome = predict(command("--url", f"127.0.0.1:{port}", "--retries", 1, pictures))
    outcome.refused(f"no Triton answers at 127.0.0.1:{port}: nothing listens there")


def test_a_server_that_is_started_again_is_asked_again(repository, pictures, tmp_path):
    """It knows the client's shared memory no longer, and is told of it anew."""
    server = served(repository, tmp_path)
    options = ["--json", "--shared-memory", "--batch", 1, "--retries", 100]
    with server:
        server.wait_until_ready(60)
        asking = subprocess.Popen(
            [*to(server, *[pictures] * 200), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not regions(server):
            assert asking.poll() is None, asking.communicate()
        stop_process(server.process.pid, timeout_s=40)
        server.process.wait()
        server.start()
        printed, said = asking.communicate(timeout=NEVER_SLOW)
        assert asking.returncode == 0, said
        assert regions(server) == {}
    found = json.loads(printed)
    assert found["summary"]["answered"] == 200 * PICTURES
    assert max(picture["attempts"] for picture in found["pictures"]) > 1


# TLS


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def stranger(folder):
    """Return another authority, which nobody should trust."""
    return Authority(folder, "stranger")


def tls_flags(authority, *more):
    certificate, key = authority.issue("triton.test")
    return (
        "--grpc-use-ssl=true",
        *(f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}", f"--grpc-root-cert={authority.file}"),
        *more,
    )


@pytest.fixture(scope="module")
def tls_server(repository, folder, authority):
    """Return a live server that speaks TLS; its certificate is for triton.test."""
    with served(repository, folder / "tls", *tls_flags(authority)) as server:
        server.wait_until_ready(60)
        yield server


@pytest.fixture(scope="module")
def mutual_server(repository, folder, authority):
    """Return a live server that speaks TLS with clients whose certificate the authority signed."""
    with served(repository, folder / "mutual", *tls_flags(authority, "--grpc-use-ssl-mutual=true")) as server:
        server.wait_until_ready(60)
        yield server


def trusting(authority, *more):
    return ["--tls", "--ca", authority.file, "--server-name", "triton.test", "--retries", 1, *more]


def test_tls_answers_as_the_clear_does(tls_server, authority, pictures, expected):
    found, outcome = predict(to(tls_server, pictures, "--json", *trusting(authority)))
    outcome.succeeded()
    require_expected(found, expected)


def test_tls_mismatches_are_told(tls_server, authority, stranger, pictures):
    asked = to(tls_server, pictures, "--retries", 1)
    predict(asked)[1].refused("no Triton answers", "it speaks TLS. Add --tls")
    predict([*asked, "--tls"])[1].refused("its certificate is not trusted", "--ca")
    predict(to(tls_server, pictures, *trusting(stranger)))[1].refused("its certificate is not trusted", "--ca")
    predict([*asked, "--tls", "--ca", str(authority.file)])[1].refused(
        "its certificate is not for 127.0.0.1", "--server-name"
    )


def test_mutual_tls_answers_a_client_with_a_certificate(mutual_server, authority, pictures, expected):
    certificate, key = authority.issue("client")
    options = trusting(authority, "--certificate", certificate, "--key", key)
    found, outcome = predict(to(mutual_server, pictures, "--json", *options))
    outcome.succeeded()
    require_expected(found, expected)


def test_mutual_tls_mismatches_are_told(mutual_server, authority, stranger, pictures):
    predict(to(mutual_server, pictures, "--retries", 1))[1].refused("it speaks TLS. Add --tls")
    predict(to(mutual_server, pictures, *trusting(authority)))[1].refused("wants a client certificate", "--certificate")
    certificate, key = stranger.issue("intruder")
    options = trusting(authority, "--certificate", certificate, "--key", key)
    predict(to(mutual_server, pictures, *options))[1].refused(
        "does not accept the client certificate", str(certificate)
    )


def test_an_expired_certificate_is_told(repository, folder, authority, pictures, tmp_path):
    certificate, key = authority.issue("old.test", days=-1)
    flags = ("--grpc-use-ssl=true", f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}")
    with served(repository, tmp_path, *flags, f"--grpc-root-cert={authority.file}") as server:
        server.wait_until_ready(60)
        options = ["--tls", "--ca", authority.file, "--server-name", "old.test", "--retries", 0]
        predict(to(server, pictures, *options))[1].refused("its certificate has expired")
