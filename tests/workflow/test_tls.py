"""What serves is reached over TLS, and changed by those alone who have its key: deployed for real, then asked."""

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton
from helpers.artifacts.training import RECEIPT, RESULTS, WEIGHTS, Training, options
from helpers.certificates import Authority
from helpers.workplace import Workplace
from PIL import Image
from tritonclient.utils import InferenceServerException

from slipway.core.artifacts import read_json, write_json
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import key_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder, "authority")


@pytest.fixture(scope="module")
def trainings(folder):
    return [Training(folder / str(seed), seed) for seed in range(2)]


@pytest.fixture
def place(tmp_path):
    """Return an empty folder to deploy in; what is live there is stopped at the end."""
    found = Workplace(tmp_path)
    found.served_at = Ports.free()
    yield found
    found.program("undeploy", "--results", RESULTS).succeeded()


@pytest.fixture
def picture(place):
    """Return a photograph, where the results say how the model is fed."""
    settings = {"resize": 16, "crop": 16, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    write_json(place.path("results/tiny/reference_outputs.json"), {"weights_sha256": WEIGHTS, "key": settings})
    Image.fromarray(np.full((20, 20, 3), 90, dtype=np.uint8)).save(place.path("picture.png"))
    return "picture.png"


def named(certificate, key, prefix="--tls"):
    return [f"{prefix}-certificate", certificate, f"{prefix}-key", key]


def server_of(place):
    return read_json(place.path(RECEIPT))["contents"]["server"]


def addresses(place):
    """Return where the live server really listens: {port: address}."""
    found = psutil.Process(server_of(place)["pid"]).net_connections(kind="inet")
    return {each.laddr.port: each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}


def everything_written(place):
    """Return the text of every file that the deployment left behind."""
    files = [path for path in place.folder.rglob("*") if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files)


def refusal_of(call, *arguments):
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments)
    return caught.value.message()


def test_tls_is_served_proven_switched_and_asked_and_other_tls_starts_another_server(
    place, trainings, authority, picture
):
    certificate, key = authority.issue("server", "triton.test", "localhost")
    # Others reach it, and it shares memory with nobody, however it is asked to.
    open_to_others = ["--host", "0.0.0.0", "--oldest", "24.10", "--shared-memory", "--http-port", place.served_at.http]
    tls = [*open_to_others, *named(certificate, key)]
    said = place.program("deploy", *options(place, trainings[0], *tls)).succeeded().said
    assert "over TLS; in the clear on 127.0.0.1" in said
    at, first, listening = place.served_at, server_of(place), addresses(place)
    assert (listening[at.http], listening[at.metrics]) == ("127.0.0.1", "127.0.0.1")
    assert listening[at.grpc] in ("0.0.0.0", "::")

    key_of_first = key_of(first["pid"]).encode()
    said = place.program("deploy", *options(place, trainings[1], *tls)).succeeded().said
    assert "loading the new version in the live server" in said
    place.program("rollback", "--results", RESULTS).succeeded()
    assert server_of(place)["pid"] == first["pid"]
    told = place.program("status", "--results", RESULTS).succeeded().said
    assert "answered, 0 failed" in told
    assert f"gRPC {at.grpc} (TLS)" in told
    assert "1 answered, 0 not, by tiny" in place.program("predict", picture).succeeded().said
    place.program("predict", picture, "--shared-memory").refused("leave --shared-memory out")

    own = authority.issue("deployer")
    mutual = ["--tls-client-ca", authority.file, *named(*own, "--tls-deployer")]
    said = place.program("deploy", *options(place, trainings[1], "--shared-memory", *named(certificate, key), *mutual))
    said = said.succeeded().said
    assert "the server has to be restarted" in said
    assert key_of(server_of(place)["pid"]).encode() != key_of_first
    assert "over mutual TLS" in said
    place.program("predict", picture, "--shared-memory").succeeded()
    stranger = ["--tls", "--ca", certificate, "--server-name", "localhost", "--retries", 0]
    place.program("predict", picture, *stranger).refused("it wants a client certificate")
    secrets = [line for file in (key, own[1]) for line in file.read_bytes().splitlines()[1:-1]]
    assert not any(line in everything_written(place) for line in [key_of_first, *secrets])


def test_only_the_deployer_may_change_what_is_served(place, trainings):
    said = place.program("deploy", *options(place, trainings[0], "--shared-memory")).succeeded().said
    at = place.served_at
    key = key_of(server_of(place)["pid"])
    with triton.InferenceServerClient(f"{at.host}:{at.grpc}") as stranger:
        for call in (stranger.unload_model, stranger.load_model):
            assert "restricted" in refusal_of(call, "tiny")
        for call in (stranger.get_trace_settings, stranger.get_log_settings, stranger.get_model_repository_index):
            assert "restricted" in refusal_of(call)
        guessed = {"triton-grpc-protocol-slipway-key": "0" * len(key)}
        assert "restricted" in refusal_of(lambda: stranger.unload_model("tiny", headers=guessed))
        # Who only asks it needs no key, and on this machine may share memory with it where that was asked for.
        assert stranger.is_model_ready("tiny")
        assert stranger.get_model_metadata("tiny").name == "tiny"
        assert stranger.get_model_config("tiny").config.name == "tiny"
        stranger.get_system_shared_memory_status()
    assert key.encode() not in everything_written(place) + said.encode()
    place.program("predict", "--url", f"{at.host}:{at.grpc}").refused("name the model with --model")


def test_files_that_will_not_do_are_told_before_anything_is_changed(place, trainings, authority):
    outcome = place.program(
        "deploy", *options(place, trainings[0], *named(*authority.issue("old", "localhost", days=-1)))
    )
    outcome.refused("old.pem has expired", "Nothing was changed")
    assert not place.path("results/.server/models").exists()
