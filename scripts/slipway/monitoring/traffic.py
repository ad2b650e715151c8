"""The traffic of one version of a model on a live server: requests, latency and waiting requests, from its metrics."""

from dataclasses import dataclass

from slipway.triton.client.metrics import read_page, samples
from slipway.triton.client.ports import Ports


@dataclass(frozen=True)
class Traffic:
    """The counters since the version was loaded. `quantiles_ms` covers the last 60 seconds, {} without requests."""

    requests: int
    failures: int
    pending: int
    mean_ms: float
    queue_ms: float
    quantiles_ms: dict[str, float]


# {name of a sample: {its sorted labels: its value}}
Samples = dict[str, list[tuple[dict[str, str], float]]]


def read_traffic(ports: Ports, model: str, version: str) -> Traffic | None:
    """Return the traffic of a version of a model; None if the server does not have it.

    Raises OSError if the metrics cannot be read.
    """
    return traffic_of(read_page(ports), model, version)


def traffic_of(page: str, model: str, version: str) -> Traffic | None:
    """Return the traffic of a version of a model in a page of metrics; None if the page has none."""
    samples = _of_version(page, model, version)
    if "nv_inference_request_success" not in samples:
        return None
    requests = _sum(samples, "nv_inference_request_success")
    summary = samples.get("nv_inference_request_summary_us", [])
    return Traffic(
        requests=int(requests),
        failures=int(_sum(samples, "nv_inference_request_failure")),
        pending=int(_sum(samples, "nv_inference_pending_request_count")),
        mean_ms=_sum(samples, "nv_inference_request_duration_us") / max(requests, 1) / 1e3,
        queue_ms=_sum(samples, "nv_inference_queue_duration_us") / max(requests, 1) / 1e3,
        quantiles_ms={labels["quantile"]: value / 1e3 for labels, value in summary if value == value},
    )


def _of_version(page: str, model: str, version: str) -> Samples:
    found: Samples = {}
    for name, labels, value, *_ in samples(page):
        if (labels.get("model"), labels.get("version")) == (model, version):
            found.setdefault(name, []).append((labels, value))
    return found


def _sum(found: Samples, name: str) -> float:
    return sum(value for _, value in found.get(name, []))
