"""Send a short load to a model before its rollout: its p99 latency must be within the limit of the load test.

In the load test, only a configuration within this limit, `load_test.p99_limit_ms`, could be chosen.
"""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports

REQUESTS = 100
# After this time, the check ends as soon as FEWEST requests are answered.
LONGEST_S = 10.0
FEWEST = 20


def canary(ports: Ports, name: str, request: Tensors, in_flight: int, p99_limit_ms: float | None) -> dict:
    """Check the latency of the model `name` before its rollout, with up to REQUESTS requests, which are all `request`.

    At any time, `in_flight` of them are in flight. Returns {"requests" (their number), "in_flight", "p99_ms",
    "limit_ms"}. Raises SlipwayError if the p99 latency is above `p99_limit_ms` (None: no limit), or if a request fails.
    """
    deadline = time.monotonic() + LONGEST_S
    numbers = itertools.count()

    def send(_: int) -> list[float]:
        with ModelClient(ports, name) as client:
            # Not measured: the first request includes the connection, which the load test did not measure either.
            client.infer(request)
            latencies = []
            while (number := next(numbers)) < REQUESTS and (number < FEWEST or time.monotonic() < deadline):
                latencies.append(client.infer(request).latency_ms)
            return latencies

    with ThreadPoolExecutor(in_flight) as senders:
        latencies = list(itertools.chain.from_iterable(senders.map(send, range(in_flight))))
    p99_ms = float(np.percentile(latencies, 99))
    if p99_limit_ms is not None and p99_ms > p99_limit_ms:
        raise SlipwayError(
            f"{name} answers with p99 {p99_ms:.0f} ms at {in_flight} in flight, above the limit of {p99_limit_ms:g} ms "
            "(load_test.p99_limit_ms): other programs use the machine, or something changed since the load test. "
            "Deploy again on a quiet machine, or measure again with `--forcerun load_test`"
        )
    return {"requests": len(latencies), "in_flight": in_flight, "p99_ms": round(p99_ms, 3), "limit_ms": p99_limit_ms}
