"""What a live server says of one version of a model: how much it answered, how fast, what waits."""

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from slipway.monitoring.rules import FAILURE, SUCCESS, SUMMARY
from slipway.triton.ports import Ports


@dataclass(frozen=True)
class Traffic:
    """What was counted since the version was loaded; `quantiles_ms` are of the last 60 seconds, {} without requests."""

    requests: int
    failures: int
    pending: int
    mean_ms: float
    queue_ms: float
    quantiles_ms: dict[str, float]


# The labels of a sample, sorted, and its value, by the sample's name.
Samples = dict[str, list[tuple[dict[str, str], float]]]


def read_traffic(ports: Ports, model: str, version: str) -> Traffic | None:
    """Return the traffic of a version of a model, or None where the server does not have it.

    Raises OSError when the metrics cannot be read.
    """
    return traffic_of(read_page(ports), model, version)


def read_page(ports: Ports) -> str:
    """Return a server's page of metrics; a proxy is not asked for what is on this machine."""
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with without_proxy.open(f"http://{ports.clear_host}:{ports.metrics}/metrics", timeout=10) as page:
        return page.read().decode()


def traffic_of(page: str, model: str, version: str) -> Traffic | None:
    """Return what a page of metrics says of a version of a model, or None where it says nothing of it."""
    samples = _samples(page, model, version)
    if SUCCESS not in samples:
        return None
    requests = _sum(samples, SUCCESS)
    quantiles = {labels["quantile"]: value / 1e3 for labels, value in samples.get(SUMMARY, []) if value == value}
    return Traffic(
        requests=int(requests),
        failures=int(_sum(samples, FAILURE)),
        pending=int(_sum(samples, "nv_inference_pending_request_count")),
        mean_ms=_sum(samples, "nv_inference_request_duration_us") / max(requests, 1) / 1e3,
        queue_ms=_sum(samples, "nv_inference_queue_duration_us") / max(requests, 1) / 1e3,
        quantiles_ms=quantiles,
    )


def _samples(page: str, model: str, version: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.labels.get("model") == model and sample.labels.get("version") == version:
                # The parser completes counters to OpenMetrics' form, x_total; Triton's own names have no such ending.
                found.setdefault(sample.name.removesuffix("_total"), []).append((sample.labels, sample.value))
    return found


def _sum(samples: Samples, name: str) -> float:
    return sum(value for _, value in samples.get(name, []))
