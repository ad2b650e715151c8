"""Measure one configuration in the open loop: its server, its points, and how much time each of them has."""

import time
from dataclasses import dataclass

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.contract.contract import Tensors
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.readable import readable
from slipway.load_test import capacity
from slipway.load_test.interference import Interference
from slipway.load_test.limits import is_crowded
from slipway.load_test.request_rate import WINDOWS, Sender
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server.leftovers import remove_leftovers
from slipway.triton.server.tritonserver import Server

AUTO = "auto"
# Of a point: the least requests, which p99 needs, the least seconds, and the least multiple of the mean latency.
# Requests on their way at the end must be few, since they tell whether a queue grows.
LEAST_REQUESTS, LEAST_S, LATENCIES = 110, 2.0, 25
# Without so many requests, a point tells nothing.
FEWEST = 10
# Points that a search takes as a rule; each has this share of the time at most.
POINTS = 5
# Seconds for a server to get ready, and seconds of requests before the first point.
READY_S, WARM_UP_S = 300.0, 0.5
# Seconds for a server to end after perf_analyzer has lost it.
ENDING_S = 5.0


@dataclass
class Prober:
    """It measures one configuration's points until `end` (of time.monotonic)."""

    sender: Sender
    server: Server
    row: dict
    end: float
    gpu: GpuMonitor | None
    requests: int
    p99_limit_ms: float | None
    request: Tensors
    _step_s: float = LEAST_S
    _ended: str | None = None

    def points(self, rates: list[str], needed_per_s: float | None) -> tuple[list[dict], str | None]:
        """Return the points of the given rates, or of a bisection, and the reason of an early end.

        The bisection begins at the throughput of the closed loop, or at the rate that is needed.
        """
        if rates == [AUTO]:
            first = needed_per_s or self.row["throughput_per_s"]
            return capacity.search(self.point, first, self.has_time, needed_per_s)
        return capacity.measure_each(self.point, sorted(map(float, rates)), self.has_time)

    def has_time(self, rate_per_s: float) -> bool:
        """Say whether there is time for another point like the last one, and for the fewest requests."""
        return time.monotonic() + max(self._step_s, FEWEST / rate_per_s) < self.end

    def point(self, rate_per_s: float) -> dict:
        """Return the judged point of one rate, with the CPU time that other programs took meanwhile."""
        start = time.monotonic()
        interference = Interference(lambda: "point", self.gpu, owner=self.server.container_owner)
        self.restart_if_ended()
        with interference.watching():
            measured = self.measured(rate_per_s)
        self._step_s = time.monotonic() - start
        shares = interference.cpu_percent("point")
        point = capacity.judged(measured, self.p99_limit_ms)
        return {
            **point,
            **shares,
            **({"gpu_state": interference.gpu_state("point")} if self.gpu else {}),
            "verdict": capacity.DISTURBED if is_crowded(shares) else capacity.STEADY,
        }

    def measured(self, rate_per_s: float) -> dict:
        """Return the figures of one rate. If the server ended under it, "ended" says how.

        Raises SlipwayError if perf_analyzer fails although the server answers.
        """
        unanswered = {"asked_per_s": rate_per_s, "requests": 0}
        try:
            figures = self.sender.measure(rate_per_s, self.seconds(rate_per_s))
        except SlipwayError:
            if self.server.ended(within_s=ENDING_S) is None:
                raise
            figures = None
        self._ended = self.server.ended()
        if self._ended is None:
            self.server.require_own()
            return figures or unanswered
        progress(f"    {self._ended} at {readable(rate_per_s)} requests/s")
        remove_leftovers(f"{self.server.id}-", but_of=set())  # its backends' processes may outlive it
        return unanswered | {"ended": self._ended}

    def restart_if_ended(self) -> None:
        """Start the server again if the point before ended it."""
        if self._ended:
            self.server.start()
            self.server.wait_until_ready(READY_S)
            warm_up(self.sender.ports, self.sender.model, self.request)
        self._ended = None
        self.server.require_own()

    def seconds(self, rate_per_s: float) -> float:
        """Return the seconds of a point, within the time that is left: enough requests for p99 and for its windows."""
        requests = max(LEAST_REQUESTS, WINDOWS * self.requests)
        wanted = max(LEAST_S, requests / rate_per_s, LATENCIES * self.row["mean_ms"] / 1e3)
        return min(wanted, max(LEAST_S, FEWEST / rate_per_s, (self.end - time.monotonic()) / POINTS))


def warm_up(ports: Ports, model: str, request: Tensors) -> None:
    """Send a request again and again, since the first ones of a model are slow."""
    end = time.monotonic() + WARM_UP_S
    with ModelClient(ports, model) as client:
        client.infer(request)
        while time.monotonic() < end:
            client.infer(request)
