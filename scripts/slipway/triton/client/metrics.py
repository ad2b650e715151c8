"""A server's page of Prometheus metrics: read, and as Triton names what is on it."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from slipway.triton.client.ports import Ports

TIMEOUT_S = 10


def read_page(ports: Ports) -> str:
    """Return a server's page of metrics, asked of it directly and never of a proxy; raise OSError when it has none."""
    # The server is not asked to hang up: through a tunnel, a hang-up may overtake the answer.
    with closing(HTTPConnection(ports.clear_host, ports.metrics, timeout=TIMEOUT_S)) as connection:
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
    """Yield what is on a page, by Triton's own names."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            # The parser completes counters to OpenMetrics' form, x_total, an ending that Triton's names do not have.
            yield sample._replace(name=sample.name.removesuffix("_total"))
