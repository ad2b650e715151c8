import json
import stat
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from certificates import Authority, write_key
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

import predict
from slipway.errors import SlipwayError
from slipway.images import Preprocessing
from slipway.predictions import Predictions, conclusion, document, table
from slipway.triton import asking
from slipway.triton.asking import labels_of, logits_of, why_no_model
from slipway.triton.classifier import batch_size, classifier_of
from slipway.triton.connection import Connection, Endpoint, RequestFailed, Tls, Unreachable, may_pass
from slipway.triton.reachability import is_this_machine
from slipway.triton.server import Ports
from slipway.triton.shared_memory import SharedBatch

IMAGENET = Preprocessing(232, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNAVAILABLE, INVALID = "StatusCode.UNAVAILABLE", "StatusCode.INVALID_ARGUMENT"


def options(*given):
    return predict.parse_arguments(list(given))


def described(inputs, outputs, max_batch=0, labels="", **more):
    """Return the classifier that a server's metadata make: {name: (datatype, shape)} of inputs and outputs."""
    metadata = service_pb2.ModelMetadataResponse(name="m")
    for tensors, side in ((inputs, metadata.inputs), (outputs, metadata.outputs)):
        for name, (datatype, shape) in tensors.items():
            side.add(name=name, datatype=datatype, shape=shape)
    config = model_config_pb2.ModelConfig(name="m", max_batch_size=max_batch)
    for name in outputs:
        config.output.add(name=name, label_filename=labels)
    return classifier_of(metadata, config, **more)


LOGITS = {"logits": ("FP32", [-1, 1000])}
PICTURES = {"input": ("FP32", [-1, 3, 224, 224])}


# The model, as the server states it


@pytest.mark.parametrize(("datatype", "dtype"), [("FP32", "float32"), ("UINT8", "uint8")])
def test_the_servers_datatype_decides_what_is_sent(datatype, dtype):
    found = described({"x": (datatype, [-1, 3, 64, 64])}, LOGITS, max_batch=8, labels="labels.txt")
    assert (found.input, found.dtype, found.side, found.batched, found.max_batch) == ("x", dtype, 64, True, 8)
    assert (found.output, found.classes, found.has_labels) == ("logits", 1000, True)


def test_a_model_without_a_batch_takes_one_picture():
    found = described({"data_0": ("FP32", [3, 224, 224])}, {"fc6_1": ("FP32", [1000])}, labels="densenet_labels.txt")
    assert (found.batched, found.max_batch, found.classes) == (False, 1, 1000)


def test_sizes_that_the_server_leaves_open_are_unknown():
    found = described({"input": ("FP32", [-1, 3, -1, -1])}, {"logits": ("FP32", [-1, -1])})
    assert (found.side, found.max_batch, found.classes) == (None, None, None)


def test_an_output_of_a_pooling_layer_is_one_score_a_class():
    assert described(PICTURES, {"logits": ("FP16", [-1, 1000, 1, 1])}).classes == 1000


def test_one_of_several_outputs_is_named():
    outputs = {"features": ("FP32", [-1, 2048]), **LOGITS}
    assert described(PICTURES, outputs, output="logits").output == "logits"
    with pytest.raises(SlipwayError, match="several outputs; name the scores with --output: features, logits"):
        described(PICTURES, outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs", "phrase"),
    [
        ({**PICTURES, "mask": ("FP32", [-1, 1])}, LOGITS, r"2 inputs \(input, mask\), but pictures fill one"),
        ({"input": ("FP16", [-1, 3, 224, 224])}, LOGITS, "takes FP16, but pictures are sent as UINT8"),
        ({"input": ("BYTES", [-1, 1])}, LOGITS, "takes BYTES"),
        ({"input": ("FP32", [-1, 224, 224, 3])}, LOGITS, r"shape \[-1, 224, 224, 3\], but pictures are sent as \[N, 3"),
        ({"input": ("FP32", [-1, 3, 224, 320])}, LOGITS, "needs a client of its own"),
        ({"input": ("FP32", [-1, 16])}, LOGITS, "needs a client of its own"),
        ({"input": ("FP32", [8, 3, 224, 224])}, LOGITS, "exactly 8 pictures"),
        (PICTURES, {"logits": ("INT64", [-1, 5])}, "answers with INT64 in logits"),
        (PICTURES, {"boxes": ("FP32", [-1, 100, 4])}, r"shape \[-1, 100, 4\], which is not one score a class"),
        (PICTURES, {}, "several outputs"),
    ],
)
def test_what_is_no_classifier_of_pictures_is_refused(inputs, outputs, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        described(inputs, outputs)


@pytest.mark.parametrize(
    ("limit", "asked", "size"), [(32, None, 8), (4, None, 4), (4, 4, 4), (4, 3, 3), (None, None, 8), (None, 500, 500)]
)
def test_a_request_carries_what_was_asked_or_what_the_model_takes(limit, asked, size):
    shape = [1 if limit == 1 else -1, 3, 224, 224]
    found = described({"input": ("FP32", shape)}, LOGITS, max_batch=limit or 0)
    assert batch_size(found, asked, usual=8) == size


def test_more_pictures_than_the_model_takes_are_refused():
    with pytest.raises(SlipwayError, match="at most 4 pictures a request, not 5; give --batch 4 or less"):
        batch_size(described(PICTURES, LOGITS, max_batch=4), 5, usual=8)


def index_of(*entries):
    return [
        service_pb2.RepositoryIndexResponse.ModelIndex(
            **dict(zip(("name", "version", "state", "reason"), entry, strict=True))
        )
        for entry in entries
    ]


INDEX = index_of(
    ("resnet", "1", "READY", ""),
    ("resnet", "3", "READY", ""),
    ("b0", "1", "UNAVAILABLE", "no memory"),
    ("b1", "", "", ""),
)


@pytest.mark.parametrize(
    ("index", "model", "version", "said"),
    [
        (INDEX, "vgg", "", "there is no model vgg: ready are resnet"),
        (INDEX, "b0", "", "model b0 is not ready (no memory): ready are resnet"),
        (INDEX, "b1", "", "model b1 is not ready: ready are resnet"),
        (INDEX, "resnet", "2", "model resnet has no version 2 that is ready, but 1, 3"),
        (INDEX, None, "", "name the model with --model: ready are resnet"),
        ([], "vgg", "", "there is no model vgg: no model is ready"),
    ],
)
def test_a_model_that_cannot_be_asked_is_explained(index, model, version, said):
    assert why_no_model(index, model, version) == said


# Answers


def test_logits_are_taken_as_they_are():
    scores = np.float32([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(logits_of(scores), scores)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_probabilities_stay_what_they_are(dtype):
    scores = np.asarray([[0.7, 0.2, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25]], dtype)
    logits = logits_of(scores)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), scores, atol=1e-3)


def test_labels_come_from_triton_and_classes_without_one_have_a_number():
    assert labels_of(["9.5:2:wine: red", "1.0:0:beer", "-3e+08:1", "0.1:3:"], 4) == [
        "beer",
        "class 1",
        "wine: red",
        "class 3",
    ]


@pytest.mark.parametrize("answer", [None, np.zeros((3, 0), np.float32), np.zeros((2, 5), np.float32)])
def test_an_answer_for_another_number_of_pictures_fails(answer):
    with pytest.raises(RequestFailed, match="not one row of scores a picture"):
        asking._scores(answer, 3)


def test_an_answer_that_is_no_number_fails():
    with pytest.raises(RequestFailed, match="not finite"):
        asking._scores(np.float32([[1, np.nan]]), 1)


def answered(*batches):
    """Return predictions of so many pictures a request, all of them of class 1 of 3, at 10, 20, ... ms."""
    predictions = Predictions()
    for number, pictures in enumerate(batches, 1):
        files = [Path(f"{number}.{index}.jpg") for index in range(pictures)]
        logits = np.log(np.tile([0.2, 0.7, 0.1], (pictures, 1)))
        request = {"latency_ms": 10.0 * number, "attempts": 1}
        predictions.add(files, logits, ["cat", "dog"], 2, request)
    return predictions


WHO = {"server": "h:8001", "model": "m", "batch": 2, "rehearsal": False}


def test_a_table_names_classes_by_label_and_number():
    assert table(answered(1).pictures, 9) == ["1.0.jpg         10.0 ms  70.0% dog (1), 20.0% cat (0)"]


def test_a_class_beyond_the_labels_has_its_number():
    predictions = Predictions()
    (picture,) = predictions.add([Path("a")], np.float64([[0, 0, 5]]), ["cat"], 1, {"latency_ms": 1.0, "attempts": 1})
    assert picture["top"][0]["label"] == "class 2"


def test_the_sum_has_percentiles_of_requests_not_of_pictures():
    found = answered(2, 2, 1).summary()
    assert (found["answered"], found["requests"]) == (5, 3)
    assert found["request_ms"] == {"p50": 20.0, "p99": 29.8}
    lines = conclusion(answered(2, 2, 1), WHO)
    assert lines[0].startswith("5 answered, 0 not, by m at h:8001: ")
    assert lines[1:] == ["requests: 3, of up to 2 pictures each; latency p50 20.0 ms, p99 29.8 ms"]
    assert conclusion(answered(1), WHO | {"rehearsal": True})[-1].startswith("REHEARSAL")


def test_no_answer_at_all_is_valid_json(capsys):
    predictions = Predictions()
    predictions.fail([Path("a.jpg"), Path("b.jpg")], SlipwayError("too dark"))
    found = json.loads(document(predictions, WHO))
    assert found["failed"][1] == {"file": "b.jpg", "error": "too dark"}
    assert found["summary"]["request_ms"] == {"p50": None, "p99": None}
    assert "no answer for b.jpg: too dark" in capsys.readouterr().err
    assert len(conclusion(predictions, WHO)) == 1


# Pictures


def test_groups_are_full_but_the_last_and_taken_when_needed():
    taken = []
    groups = predict.grouped((taken.append(item) or item for item in range(7)), 3)
    assert next(groups) == [0, 1, 2]
    assert taken == [0, 1, 2]
    assert list(groups) == [[3, 4, 5], [6]]
    assert list(predict.grouped([], 3)) == []


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_broken_picture_leaves_the_others(tmp_path, dtype, capsys):
    Image.new("RGB", (300, 250), "red").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    kind = described({"x": ("UINT8" if dtype == "uint8" else "FP32", [-1, 3, 224, 224])}, LOGITS)
    predictions = Predictions()
    files = [tmp_path / "bad.png", tmp_path / "good.png"]
    task = predict.Task(kind, IMAGENET, 1, [], 5, strict=False)
    ((file, picture),) = predict.readable(files, task, predictions)
    assert (file.name, picture.shape, picture.dtype) == ("good.png", (3, 224, 224), np.dtype(dtype))
    assert task.batch_bytes == picture.nbytes
    assert [Path(failed["file"]).name for failed in predictions.failed] == ["bad.png"]
    with pytest.raises(SlipwayError, match="not an image"):
        list(predict.readable(files, predict.Task(kind, IMAGENET, 1, [], 5, strict=True), predictions))


def test_folders_and_files_are_taken_in_their_order(tmp_path):
    for name in ("b.png", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    given = [Path("other.jpg"), tmp_path]
    assert predict.photographs(given) == [Path("other.jpg"), tmp_path / "a.jpg", tmp_path / "b.png"]
    assert [path.name for path in predict.photographs([])] == ["grace_hopper.jpg"]


# Preprocessing


def test_imagenets_preprocessing_fits_the_servers_size():
    assert predict.preprocessing_of(options(), described(PICTURES, LOGITS), {}) == IMAGENET
    small = described({"input": ("FP32", [-1, 3, 112, 112])}, LOGITS)
    assert predict.preprocessing_of(options(), small, {}) == Preprocessing(116, 112, IMAGENET.mean, IMAGENET.std)


def test_options_come_before_what_was_proven_and_that_before_imagenet():
    proven = {"resize": 256, "mean": [0.5, 0.5, 0.5], "input": "uint8", "torch_version": "2"}
    given = options("--mean", "0.1", "0.2", "0.3", "--interpolation", "bicubic")
    found = predict.preprocessing_of(given, described(PICTURES, LOGITS), proven)
    assert found == Preprocessing(256, 224, [0.1, 0.2, 0.3], IMAGENET.std, "bicubic")


def test_a_size_that_the_server_leaves_open_is_the_crops():
    anything = described({"input": ("FP32", [-1, 3, -1, -1])}, LOGITS)
    assert predict.preprocessing_of(options("--crop", "448"), anything, {}).resize == 464
    assert predict.preprocessing_of(options(), anything, {}).crop == 224


@pytest.mark.parametrize(
    ("given", "phrase"),
    [(["--crop", "256"], "takes 224 x 224 pixels, not --crop 256"), (["--resize", "200"], "--resize 200 is below")],
)
def test_a_wrong_size_is_refused(given, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        predict.preprocessing_of(options(*given), described(PICTURES, LOGITS), {})


def test_labels_of_another_model_are_refused(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match="has 2 names, but m has 1000 classes"):
        predict.read_labels(tmp_path / "labels.txt", described(PICTURES, LOGITS))
    with pytest.raises(SlipwayError, match="is no file"):
        predict.read_labels(tmp_path / "none.txt", described(PICTURES, LOGITS))
    two = described(PICTURES, {"logits": ("FP32", [-1, 2])})
    assert predict.read_labels(tmp_path / "labels.txt", two) == ["cat", "dog"]


# Options


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (["--top", "0"], "--top 0 is too low; the lowest is 1"),
        (["--batch", "0"], "--batch 0"),
        (["--retries", "-1"], "--retries -1"),
        (["--deadline-ms", "0"], "--deadline-ms 0"),
        (["--ca", "ca.pem"], "--ca is for TLS; add --tls"),
        (["--server-name", "triton"], "--server-name is for TLS"),
    ],
)
def test_options_without_sense_are_refused(given, phrase):
    with pytest.raises(SlipwayError, match=phrase):
        predict.require_sensible(options(*given))


def test_without_a_url_something_must_be_deployed_here(tmp_path):
    with pytest.raises(SlipwayError, match="no server of this checkout is live; run `make deploy`"):
        predict.subject_of(options("--state", str(tmp_path)))


@pytest.mark.parametrize(
    ("url", "host", "port", "written"),
    [
        ("gpu.example:9000", "gpu.example", 9000, "gpu.example:9000"),
        ("gpu.example", "gpu.example", 8001, "gpu.example:8001"),
        ("[::1]:8001", "::1", 8001, "[::1]:8001"),
    ],
)
def test_an_address_is_a_host_and_a_port(url, host, port, written):
    found = Endpoint.parse(url)
    assert (found.host, found.port, str(found)) == (host, port, written)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "host:port", "host:99999", ":8001", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(SlipwayError, match="write HOST:PORT"):
        Endpoint.parse(url)


# TLS


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def test_files_that_belong_together_are_taken(authority):
    certificate, key = authority.issue("client")
    assert Tls(authority.file, certificate, key).certificate == certificate
    assert Tls().ca is None


def test_files_that_tls_cannot_use_are_named(authority, tmp_path):
    certificate, key = authority.issue("client")
    _, another_key = authority.issue("another")
    locked = write_key(tmp_path / "locked.key", ec.generate_private_key(ec.SECP256R1()), password=b"secret")
    for files, phrase in {
        (tmp_path / "none.pem", None, None): "--ca .*none.pem is no file",
        (key, None, None): "--ca .*client.key holds no certificate in PEM",
        (None, certificate, None): "--certificate needs --key beside it",
        (None, None, key): "--key needs --certificate beside it",
        (None, certificate, another_key): "no pair in PEM",
        (None, certificate, locked): "without a password",
    }.items():
        with pytest.raises(SlipwayError, match=phrase):
            Tls(*files)


# Calls


def failure(status, message="full"):
    return InferenceServerException(message, status=status)


@pytest.mark.parametrize(
    ("status", "message", "passes"),
    [
        (UNAVAILABLE, "Connection refused", True),
        (UNAVAILABLE, "Exceeds maximum queue size", True),
        ("StatusCode.RESOURCE_EXHAUSTED", "too many", True),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'm' has no available versions", True),
        (UNAVAILABLE, "Tls handshake failed (TSI_PROTOCOL_FAILURE)", False),
        ("StatusCode.RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)", False),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'm' is not found", False),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", False),
        (INVALID, "unexpected shape", False),
    ],
)
def test_only_what_may_pass_is_tried_again(status, message, passes):
    assert may_pass(failure(status, message)) is passes
    assert not may_pass(ValueError(message))


class Failing:
    """A method of a client that fails so often, then answers; it keeps the time that it was given each time."""

    def __init__(self, times, status=UNAVAILABLE, message="full"):
        self.times, self.error, self.given = times, failure(status, message), []

    def __call__(self, *arguments, client_timeout):
        self.given.append(client_timeout)
        if len(self.given) <= self.times:
            raise self.error
        return arguments


def test_a_call_is_tried_again_with_what_is_left_of_its_deadline():
    method = Failing(2)
    with Connection(Endpoint("127.0.0.1", Ports.free().grpc), deadline_s=20, retries=2) as connection:
        assert connection.call(method, "m", "1") == ("m", "1")
    first, second, third = method.given
    assert 20 > first > second + 0.1
    assert second > third + 0.2  # the waits become longer


@pytest.mark.parametrize(
    ("method", "retries", "deadline_s", "tries"),
    [(Failing(9), 2, 20, 3), (Failing(9), 100, 0.3, 2), (Failing(9, INVALID), 2, 20, 1), (Failing(9), 0, 20, 1)],
    ids=["retries", "deadline", "lasting", "no retries"],
)
def test_trying_again_ends(monkeypatch, method, retries, deadline_s, tries):
    monkeypatch.setattr(triton.InferenceServerClient, "is_server_live", lambda *_, **__: True)
    with (
        Connection(Endpoint("127.0.0.1", 1), deadline_s, retries) as connection,
        pytest.raises(RequestFailed, match="the server refused the request: full"),
    ):
        connection.call(method)
    assert len(method.given) == tries


def test_a_message_that_is_too_large_says_to_send_less():
    method = Failing(9, "StatusCode.RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)")
    with Connection(Endpoint("127.0.0.1", 1)) as connection, pytest.raises(RequestFailed, match="with --batch"):
        connection.call(method)


@pytest.mark.parametrize(
    ("endpoint", "phrase"),
    [
        (Endpoint("127.0.0.1", Ports.free().grpc), "nothing listens there. Start the server"),
        (Endpoint("no-such-host.invalid"), "the host is not known"),
    ],
    ids=["refused", "unknown"],
)
def test_a_server_that_is_not_there_is_explained(endpoint, phrase):
    with Connection(endpoint) as connection, pytest.raises(Unreachable, match=phrase):
        connection.call(connection.client.is_model_ready, "m")


# Shared memory


def test_this_machine_is_known_by_its_addresses():
    assert is_this_machine("127.0.0.1")
    assert is_this_machine("localhost")
    assert not is_this_machine("192.0.2.1")  # of a network that exists in documentation only
    assert not is_this_machine("no-such-host.invalid")


def test_another_machine_shares_no_memory():
    with (
        Connection(Endpoint("192.0.2.1")) as connection,
        pytest.raises(SlipwayError, match=r"192.0.2.1 is not this machine.*leave --shared-memory out"),
    ):
        SharedBatch(connection, 100)


def regions():
    """Return what Python keeps as shared memory on this machine."""
    return {path for path in Path("/dev/shm").glob("psm_*") if stat.S_ISREG(path.stat().st_mode)}


def test_memory_that_the_server_cannot_see_is_refused_and_given_back(monkeypatch):
    unseen = failure("StatusCode.INTERNAL", "Unable to open shared memory region: '/psm_1'")

    def unable(*_, **__):
        raise unseen

    monkeypatch.setattr(triton.InferenceServerClient, "unregister_system_shared_memory", lambda *_, **__: None)
    monkeypatch.setattr(triton.InferenceServerClient, "register_system_shared_memory", unable)
    before = regions()
    with (
        Connection(Endpoint("127.0.0.1", 1)) as connection,
        pytest.raises(SlipwayError, match=r"(?s)Unable to open.*--ipc=host"),
        SharedBatch(connection, 100),
    ):
        pass
    assert regions() <= before
