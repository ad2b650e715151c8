"""Asking a running Triton server over gRPC, and reading what it counted."""

import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from slipway.errors import SlipwayError
from slipway.triton.connection import connect, endpoint_of
from slipway.triton.modelconfig import INPUT, OUTPUT
from slipway.triton.ports import Ports

# How long after an answer its request may be missing from the metrics.
COUNTED_WITHIN_S = 5.0


@dataclass(frozen=True)
class Answer:
    """The logits (N, classes) of one request and how long it took, from sending to having them, in milliseconds."""

    logits: np.ndarray
    latency_ms: float


class ModelClient:
    """A client of one model on one server."""

    def __init__(self, ports: Ports, model: str, deadline_s: float = 30.0) -> None:
        self.model = model
        self._ports = ports
        self._deadline_s = deadline_s
        self._client = connect(endpoint_of(ports))

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def require_ready(self) -> None:
        """Raise SlipwayError unless the server is live and this model ready; a server is ready with a model missing."""
        if not (self._client.is_server_live() and self._client.is_model_ready(self.model)):
            raise SlipwayError(f"model {self.model} is not ready on port {self._ports.grpc}; see the server's log")

    def metadata(self) -> dict:
        """Return the model's tensors and the server's version, as the server states them."""
        model = self._client.get_model_metadata(self.model, as_json=True)
        server = self._client.get_server_metadata(as_json=True)
        return {"server": server["version"], "inputs": model["inputs"], "outputs": model["outputs"]}

    def config(self) -> Any:
        """Return the ModelConfig message that the server runs."""
        return self._client.get_model_config(self.model).config

    def infer(self, batch: np.ndarray) -> Answer:
        """Ask for the logits of a batch (N, 3, H, W) of the type that the model takes: float32, or uint8 pixels."""
        tensor = grpc.InferInput(INPUT, list(batch.shape), np_to_triton_dtype(batch.dtype))
        tensor.set_data_from_numpy(batch)
        start = time.perf_counter()
        try:
            result = self._client.infer(
                self.model, [tensor], outputs=[grpc.InferRequestedOutput(OUTPUT)], client_timeout=self._deadline_s
            )
        except InferenceServerException as error:
            raise SlipwayError(f"model {self.model} refused the request: {error.message()}") from None
        return Answer(result.as_numpy(OUTPUT), (time.perf_counter() - start) * 1e3)

    def successes(self, at_least: int = 0) -> int:
        """Return how many requests the server counts as answered for this model, from its /metrics.

        The server counts a request after it has sent the answer, so `at_least` is waited for, up to COUNTED_WITHIN_S.
        """
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            counted = int(read_metrics(self._ports).get(("nv_inference_request_success", self.model), 0))
            if counted >= at_least or time.monotonic() > deadline:
                return counted
            time.sleep(0.02)


def read_metrics(ports: Ports) -> dict[tuple[str, str], float]:
    """Return {(metric, model): value} of a server's Prometheus page, summed over versions."""
    # The server is not asked to hang up: through a tunnel, a hang-up may overtake the answer.
    with closing(HTTPConnection(ports.clear_host, ports.metrics, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    values: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser completes counters to OpenMetrics' form, x_total; Triton's own names have no such ending.
            key = (sample.name.removesuffix("_total"), sample.labels.get("model", ""))
            values[key] = values.get(key, 0.0) + sample.value
    return values
