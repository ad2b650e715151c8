"""A gRPC client of one model on a running Triton server: inference, metadata, and the server's counters."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

import tritonclient.grpc as grpc
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from tritonclient.utils import np_to_triton_dtype

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Deadline, connect, errors_as
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports

# How long after its answer a request may still be missing from the metrics.
COUNTED_WITHIN_S = 5.0
METRICS_TIMEOUT_S = 10


@dataclass(frozen=True)
class Answer:
    """The outputs of one request, its latency, and the version that answered."""

    outputs: Tensors
    latency_ms: float
    version: str


class ModelClient(AbstractContextManager):
    """A client of one model on one server. `deadline_s`: seconds for each call, or a Deadline for all of them."""

    def __init__(self, ports: Ports, model: str, deadline_s: float | Deadline = 30.0) -> None:
        self.model = model
        self._ports = ports
        self._deadline_s = deadline_s
        self._client = connect(endpoint_of(ports))

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def require_ready(self) -> None:
        """Raise SlipwayError unless server and model are ready; a server is ready even if a model is missing."""
        if not (self._call("is_server_live") and self._call("is_model_ready", self.model)):
            raise SlipwayError(f"model {self.model} is not ready on port {self._ports.grpc}; see the server's log")

    def metadata(self) -> dict:
        """Return {"server": its version, "inputs": [...], "outputs": [...]}, with the tensors as it states them."""
        model = self._call("get_model_metadata", self.model, as_json=True)
        server = self._call("get_server_metadata", as_json=True)
        return {"server": server["version"], "inputs": model["inputs"], "outputs": model["outputs"]}

    def versions(self) -> list[int]:
        """Return the versions of the model that the server serves, ascending."""
        model = self._call("get_model_metadata", self.model, as_json=True)
        return sorted(map(int, model.get("versions", [])))

    def config(self) -> Any:
        """Return the ModelConfig message that the server runs."""
        return self._call("get_model_config", self.model).config

    def infer(self, inputs: Tensors) -> Answer:
        """Send one request, and return its Answer. The inputs have the model's names, dtypes and shapes."""
        tensors = []
        for name, array in inputs.items():
            tensors.append(grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
            tensors[-1].set_data_from_numpy(array)
        start = time.perf_counter()
        with errors_as(f"model {self.model} refused the request"):
            result = self._client.infer(self.model, tensors, client_timeout=self._timeout_s())
        response = result.get_response()
        outputs = {output.name: result.as_numpy(output.name) for output in response.outputs}
        return Answer(outputs, (time.perf_counter() - start) * 1e3, response.model_version)

    def successes(self, version: str, at_least: int = 0) -> int:
        """Return the number of requests that one version of this model has answered, from the server's /metrics.

        Versions are counted apart, because the counter of an old version disappears some time after a new one is
        loaded. The server counts a request after it has sent the answer. So this function waits until `at_least`
        requests are counted, but no longer than COUNTED_WITHIN_S; then it returns the lower number.
        """
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            counted = self.successes_by_version().get(version, 0)
            if counted >= at_least or time.monotonic() > deadline:
                return counted
            time.sleep(0.02)

    def successes_by_version(self) -> dict[str, int]:
        """Return {version: number of answered requests} for every version on the server."""
        try:
            counters = read_metrics(self._ports).items()
        except OSError as error:
            raise SlipwayError(f"the metrics of the server that has {self.model} cannot be read: {error}") from None
        return {
            version: int(value)
            for (metric, model, version), value in counters
            if (metric, model) == ("nv_inference_request_success", self.model)
        }

    def _timeout_s(self) -> float:
        return self._deadline_s.left_s() if isinstance(self._deadline_s, Deadline) else self._deadline_s

    def _call(self, method: str, *arguments: str, **options: bool) -> Any:
        with errors_as(f"the server on port {self._ports.grpc} does not answer"):
            return getattr(self._client, method)(*arguments, client_timeout=self._timeout_s(), **options)


def read_page(ports: Ports) -> str:
    """Return a server's page of metrics, read directly and never through a proxy; raise OSError if there is no page."""
    # No `Connection: close`: through a tunnel, the close may overtake the answer.
    with closing(HTTPConnection(ports.clear_host, ports.metrics, timeout=METRICS_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except HTTPException as error:
            raise OSError(f"port {ports.metrics} does not speak HTTP ({type(error).__name__})") from None
    if answer.status != 200:
        raise OSError(f"port {ports.metrics} has no metrics: {answer.status} {answer.reason}")
    return text


def samples(page: str) -> Iterator[Sample]:
    """Yield the samples of a page, with Triton's own names."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            # The parser adds OpenMetrics' ending `_total` to counters. Triton's names do not have it.
            yield sample._replace(name=sample.name.removesuffix("_total"))


def read_metrics(ports: Ports) -> dict[tuple[str, str, str], float]:
    """Return {(metric, model, version): value} of a server's Prometheus page; "" if a label is missing."""
    values: dict[tuple[str, str, str], float] = {}
    for name, labels, value, *_ in samples(read_page(ports)):
        key = (name, labels.get("model", ""), labels.get("version", ""))
        values[key] = values.get(key, 0.0) + value
    return values
