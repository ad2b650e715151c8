"""A gRPC client of one model on a running Triton server: inference, metadata, and the server's counters."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import tritonclient.grpc as grpc
from tritonclient.utils import np_to_triton_dtype

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Deadline, connect, errors_as
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.ports import Ports

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

# After the answer to a request, the metrics may lack the request for this time.
COUNTED_WITHIN_S = 5.0
METRICS_TIMEOUT_S = 10


@dataclass(frozen=True)
class Answer:
    """The answer to one request: {output: array}, its latency in ms, and the version of the model that answered."""

    outputs: Tensors
    latency_ms: float
    version: str


class ModelClient(AbstractContextManager):
    """A client of one model on the server at `ports`. `model` is the name of the model in Triton.

    `deadline_s` is the time limit in seconds for each call, or a Deadline for all calls together.
    """

    def __init__(self, ports: Ports, model: str, deadline_s: float | Deadline = 30.0) -> None:
        self.model = model
        self._ports = ports
        self._deadline_s = deadline_s
        self._client = connect(endpoint_of(ports))

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def require_ready(self) -> None:
        """Raise SlipwayError unless the server is live and the model is ready. A live server may lack the model."""
        if not (self._call("is_server_live") and self._call("is_model_ready", self.model)):
            raise SlipwayError(
                f"model {self.model} is not ready on port {self._ports.grpc}; the server's log has the reason"
            )

    def metadata(self) -> dict:
        """Return {"server": version of the server, "inputs": tensors, "outputs": tensors}.

        Each tensor is a dict as in Triton's model metadata, with "name", "datatype" and "shape".
        """
        model = self._call("get_model_metadata", self.model, as_json=True)
        server = self._call("get_server_metadata", as_json=True)
        return {"server": server["version"], "inputs": model["inputs"], "outputs": model["outputs"]}

    def versions(self) -> list[int]:
        """Return the numbers of the model's versions that the server serves, ascending."""
        model = self._call("get_model_metadata", self.model, as_json=True)
        return sorted(map(int, model.get("versions", [])))

    def config(self) -> Any:
        """Return the model's configuration on the server, as Triton's ModelConfig message."""
        return self._call("get_model_config", self.model).config

    def infer(self, inputs: Tensors) -> Answer:
        """Send one request, and return its Answer. Raise SlipwayError if the server refuses the request.

        `inputs` must have the names, dtypes and shapes of the model's inputs.
        """
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
        """Return how many requests a version of this model has answered, according to the server's /metrics.

        `version` is the version's number as text. The server counts a request only after it has sent the answer. So
        this function waits until the counter has reached `at_least`. After COUNTED_WITHIN_S seconds it returns the
        counter in any case. A version that the server does not have counts as 0.
        """
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            counted = self.successes_by_version().get(version, 0)
            if counted >= at_least or time.monotonic() > deadline:
                return counted
            time.sleep(0.02)

    def successes_by_version(self) -> dict[str, int]:
        """Return {version: number of answered requests} for every version of this model on the server.

        Raises SlipwayError if the metrics cannot be read.
        """
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
    """Return the text of a server's page /metrics, read without a proxy. Raise OSError if there is no page."""
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


def samples(page: str) -> Iterator["Sample"]:
    """Yield the samples of `page`, the text of a page /metrics. Each has a "name", "labels" and a "value".

    The names are those in Triton, such as "nv_inference_count": the ending "_total" of Prometheus' parser is removed.
    """
    from prometheus_client.parser import text_string_to_metric_families  # only here: planning reads no metrics

    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            # The parser adds OpenMetrics' ending `_total` to counters. Triton's names do not have it.
            yield sample._replace(name=sample.name.removesuffix("_total"))


def read_metrics(ports: Ports) -> dict[tuple[str, str, str], float]:
    """Return {(metric, model, version): value} of a server's page /metrics.

    A metric that belongs to no model has "" in place of the model and the version. If several samples have the same
    three names, their values are added. Raises OSError if there is no page.
    """
    values: dict[tuple[str, str, str], float] = {}
    for name, labels, value, *_ in samples(read_page(ports)):
        key = (name, labels.get("model", ""), labels.get("version", ""))
        values[key] = values.get(key, 0.0) + value
    return values
