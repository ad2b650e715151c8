"""A server's Prometheus metrics: read the page, and parse it into Triton's own names."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from slipway.triton.client.ports import Ports

TIMEOUT_S = 10


def read_page(ports: Ports) -> str:
    """Return a server's page of metrics, read directly and never through a proxy; raise OSError if it has none."""
    # No `Connection: close`: through a tunnel, the close may overtake the answer.
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
    """Yield the samples of a page, with Triton's own names."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            # The parser adds OpenMetrics' ending `_total` to counters. Triton's names do not have it.
            yield sample._replace(name=sample.name.removesuffix("_total"))
