"""predict.py, a tiny model for it to ask, and real tritonservers that serve that model."""

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from http.client import HTTPConnection

import numpy as np
import tritonclient.grpc as triton

from helpers.models.random_images import photograph_batch
from helpers.models.tiny_engine import CLASSES, CROP
from helpers.patience import PATIENCE_S
from helpers.workplace import REPOSITORY, Outcome
from slipway.classification.images import Preprocessing
from slipway.classification.presentation import answer_of
from slipway.outputs.meaning import LOGITS
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server, log_end

MAX_BATCH = 4
PICTURES = 7
RESIZE = 20
IMAGENET = Preprocessing(RESIZE, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LABELS = [f"class {index}" for index in range(CLASSES)]


def said_by(model, pictures):
    """Return what a model's engine itself says of each picture: {file: classes}."""
    files = sorted(pictures.iterdir())
    logits = model.engine.load().infer({"input": photograph_batch(files, IMAGENET, str(model.batch.dtype))})["logits"]
    return {str(file): answer_of(row, LOGITS, LABELS)["top"] for file, row in zip(files, logits, strict=True)}


def served(repository, workspace, *flags, ports=None):
    """Return a server of the repository, not started yet."""
    installation = find_installation(workspace, ServerChoice("wheel"))
    installation = replace(installation, flags=(*installation.flags, *flags))
    return Server(installation, [repository], ports or Ports.free(), workspace / "server.log")


def wait_over_http(server, timeout_s=PATIENCE_S):
    """Wait until a server is ready whose gRPC this test alone can speak to."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(HTTPConnection("127.0.0.1", server.ports.http, timeout=PATIENCE_S)) as connection,
        ):
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(log_end(server.log))


def command(*options):
    return [sys.executable, str(REPOSITORY / "scripts" / "predict.py"), *map(str, options)]


def to(server, *options, model="tiny"):
    """Return the command that asks a model of a server."""
    return command("--url", f"127.0.0.1:{server.ports.grpc}", "--model", model, "--resize", RESIZE, *options)


def predict(arguments, **more):
    """Run a command; return what it printed, as JSON where it is that, and how it ended with both streams' words."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S, **more)
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
