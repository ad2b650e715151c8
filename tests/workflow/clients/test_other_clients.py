"""Clients that people have, against a real tritonserver whose HTTP API is on: each gets the engine's own answer."""

import asyncio
import json
import sys
import urllib.request

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as asynchronous
import tritonclient.http as over_http
from helpers.image_client import shape_of_picture
from helpers.models.tiny_engine import CLASSES, CROP
from helpers.patience import PATIENCE_S
from helpers.predicting import LABELS, served

from slipway.core.serving_environment import PROGRAMS

pytestmark = pytest.mark.slow

BATCH = 3


@pytest.fixture(scope="module")
def server(repository, folder):
    with served(repository, folder / "others") as server:
        server.wait_until_ready(PATIENCE_S)
        yield server


@pytest.fixture(scope="module")
def batch():
    """Return uint8 pixels (3, 3, 16, 16), each picture another."""
    return np.random.default_rng(7).integers(0, 256, (BATCH, 3, CROP, CROP), dtype=np.uint8)


@pytest.fixture(scope="module")
def logits(tiny, batch):
    return tiny.engine.load().infer({"input": batch})["logits"]


def best(logits):
    """Return the class and label of each row's best, as Triton's classification extension writes them."""
    return [f"{row.argmax()}:{LABELS[row.argmax()]}" for row in logits]


def test_tritons_image_client_over_grpc(server, batch, logits):
    with triton.InferenceServerClient(f"127.0.0.1:{server.ports.grpc}") as client:
        metadata = client.get_model_metadata("tiny", as_json=True)
        config = client.get_model_config("tiny").config
        shapes = (metadata["inputs"][0]["shape"], metadata["outputs"][0]["shape"])
        assert shape_of_picture(config, *shapes) == (CROP, CROP, 3, True)
        tensor = triton.InferInput("input", batch.shape, metadata["inputs"][0]["datatype"]).set_data_from_numpy(batch)
        named = triton.InferRequestedOutput("logits", class_count=1)
        answer = client.infer("tiny", [tensor], outputs=[named]).as_numpy("logits")
    assert [row[0].decode().partition(":")[2] for row in answer] == best(logits)


def test_tritonclient_over_http_with_class_count(server, batch, logits):
    with over_http.InferenceServerClient(f"127.0.0.1:{server.ports.http}") as client:
        tensor = over_http.InferInput("input", list(batch.shape), "UINT8").set_data_from_numpy(batch)
        named = over_http.InferRequestedOutput("logits", class_count=CLASSES)
        answer = client.infer("tiny", [tensor], outputs=[named]).as_numpy("logits")
    assert answer.shape == (BATCH, CLASSES)
    assert [row[0].decode().partition(":")[2] for row in answer] == best(logits)


def test_json_over_http(server, batch, logits):
    tensor = {"name": "input", "shape": batch.shape, "datatype": "UINT8", "data": batch.ravel().tolist()}
    url = f"http://127.0.0.1:{server.ports.http}/v2/models/tiny/infer"
    request = urllib.request.Request(url, json.dumps({"inputs": [tensor]}).encode())
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=PATIENCE_S) as answer:
        [found] = json.load(answer)["outputs"]
    np.testing.assert_allclose(np.reshape(found["data"], found["shape"]), logits, rtol=1e-4, atol=1e-3)


def test_the_asyncio_client(server, batch, logits):
    async def ask():
        async with asynchronous.InferenceServerClient(f"127.0.0.1:{server.ports.grpc}") as client:
            tensors = [triton.InferInput("input", [1, *each.shape], "UINT8") for each in batch]
            requests = [
                client.infer("tiny", [tensor.set_data_from_numpy(each[None])])
                for tensor, each in zip(tensors, batch, strict=True)
            ]
            return [answer.as_numpy("logits")[0] for answer in await asyncio.gather(*requests)]

    np.testing.assert_allclose(asyncio.run(ask()), logits, rtol=1e-4, atol=1e-3)


@pytest.fixture
def pytriton(monkeypatch):
    """Import pytriton's client, whose wheel lies where the server is taken from; no later test finds it imported."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(PROGRAMS)])
    yield pytest.importorskip("pytriton.client")
    for module in [name for name in sys.modules if name.partition(".")[0] == "pytriton"]:
        del sys.modules[module]


@pytest.mark.filterwarnings("ignore:tritonclient.grpc doesn't support timeout")
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_pytritons_client(server, batch, logits, scheme, pytriton):
    with pytriton.ModelClient(f"{scheme}://127.0.0.1:{getattr(server.ports, scheme)}", "tiny") as client:
        answer = client.infer_batch(batch)
    np.testing.assert_allclose(answer["logits"], logits, rtol=1e-4, atol=1e-3)
