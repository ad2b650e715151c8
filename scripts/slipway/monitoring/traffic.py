"""Read the traffic of one version of a model from a live server's metrics."""

from collections import defaultdict
from dataclasses import dataclass

from slipway.triton.client.grpc_client import read_page, samples
from slipway.triton.client.ports import Ports


@dataclass(frozen=True)
class Traffic:
    """The traffic of one version of a model since it was loaded: counts and mean latencies.

    `requests` is the number of answered requests, `failures` that of failed requests. `pending` is the present number
    of waiting requests. `mean_ms` is the mean time of a request in the server, `queue_ms` that in the queue.
    `quantiles_ms` is {quantile, such as "0.99": latency (ms) in the last 60 s}; {} without requests.
    """

    requests: int
    failures: int
    pending: int
    mean_ms: float
    queue_ms: float
    quantiles_ms: dict[str, float]


def read_traffic(ports: Ports, model: str, version: str) -> Traffic | None:
    """Ask the server at `ports` for the traffic of a version of a model; return None if it does not report the version.

    `model` is the name in Triton, and `version` is the version's number as text. Raises OSError if the metrics cannot
    be read.
    """
    return traffic_of(read_page(ports), model, version)


def traffic_of(page: str, model: str, version: str) -> Traffic | None:
    """Return the traffic of a model's version from `page`, the text of /metrics; None if the page lacks the version."""
    total: defaultdict[str, float] = defaultdict(float)
    summary: dict[str, float] = {}
    for name, labels, value, *_ in samples(page):
        if (labels.get("model"), labels.get("version")) == (model, version):
            total[name.removeprefix("nv_inference_")] += value
            if name == "nv_inference_request_summary_us":
                summary[labels["quantile"]] = value
    if "request_success" not in total:
        return None
    requests = total["request_success"]
    return Traffic(
        requests=int(requests),
        failures=int(total["request_failure"]),
        pending=int(total["pending_request_count"]),
        mean_ms=total["request_duration_us"] / max(requests, 1) / 1e3,
        queue_ms=total["queue_duration_us"] / max(requests, 1) / 1e3,
        quantiles_ms={quantile: value / 1e3 for quantile, value in summary.items() if value == value},
    )
