"""Measure one configuration in the open loop: its server, its points, and how much time each of them has."""

import time
from dataclasses import dataclass
from functools import partial

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED, STEADY
from slipway.load_test import capacity
from slipway.load_test.candidates import READY_S, Candidates, Running
from slipway.load_test.interference import Interference
from slipway.load_test.limits import is_crowded
from slipway.load_test.request_rate import WINDOWS, Sender
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.repository.model_config import Served
from slipway.triton.server.leftovers import remove_leftovers

AUTO = "auto"
# Of a point: the least requests, which p99 needs, the least seconds, and the least multiple of the mean latency.
# Requests on their way at the end must be few, since they tell whether a queue grows.
LEAST_REQUESTS, LEAST_S, LATENCIES = 110, 2.0, 25
# Without so many requests, a point tells nothing.
FEWEST = 10
# Points that a search takes as a rule; each has this share of the time at most.
POINTS = 5
# Seconds of requests before the first point.
WARM_UP_S = 0.5
# Seconds for a server to end after perf_analyzer has lost it.
ENDING_S = 5.0


@dataclass
class Prober:
    """It measures the points of one configuration until the monotonic time `end`.

    `row` is the configuration's measurement in the load test, at whose throughput a search begins.
    """

    candidates: Candidates
    running: Running
    served: Served
    row: dict
    end: float
    requests: int
    p99_limit_ms: float | None
    _step_s: float = LEAST_S
    _ended: str | None = None

    def points(self, rates: list[str], needed_per_s: float | None) -> tuple[list[dict], str | None]:
        """Return the points of the given rates, or of a bisection, and the reason of an early end.

        The bisection begins at the throughput of the closed loop, or at the rate that is needed.
        """
        first, given = needed_per_s or self.row["throughput_per_s"], rates != [AUTO]
        left = iter(sorted(map(float, rates if given else [])))
        next_of = (lambda _: next(left, None)) if given else partial(capacity.next_rate, first=first)
        return capacity.search(self.point, next_of, self.has_time, None if given else needed_per_s)

    def has_time(self, rate_per_s: float) -> bool:
        """Say whether there is time for another point like the last one, and for the fewest requests."""
        return time.monotonic() + max(self._step_s, FEWEST / rate_per_s) < self.end

    def point(self, rate_per_s: float) -> dict:
        """Return the judged point of one rate, with the CPU time that other programs took meanwhile."""
        start = time.monotonic()
        self.restart_if_ended()
        interference = Interference(self.candidates.gpu, self.running.server.container_owner)
        with interference.watching():
            measured = self.measured(rate_per_s)
        self._step_s = time.monotonic() - start
        shares = interference.figures()
        verdict = DISTURBED if is_crowded(shares) else STEADY
        return {**capacity.judged(measured, self.p99_limit_ms), **shares, "verdict": verdict}

    def measured(self, rate_per_s: float) -> dict:
        """Return the figures of one rate. If the server ended at this rate, "ended" says how.

        Raises SlipwayError if perf_analyzer fails although the server answers.
        """
        unanswered, server = {"asked_per_s": rate_per_s, "requests": 0}, self.running.server
        try:
            sender = Sender(self.served.name, self.running.server.ports, self.running.folder)
            figures = sender.measure(rate_per_s, self.seconds(rate_per_s))
        except SlipwayError:
            if server.ended(within_s=ENDING_S) is None:
                raise
            figures = None
        self._ended = server.ended()
        if self._ended is None:
            server.require_own()
            return figures or unanswered
        progress(f"    {self._ended} at {readable(rate_per_s)} requests/s")
        remove_leftovers(f"{server.id}-", but_of=set())  # its backends' processes may outlive it
        return unanswered | {"ended": self._ended}

    def restart_if_ended(self) -> None:
        """Start the server again if the point before ended it."""
        if self._ended:
            self.running.server.start()
            self.running.server.wait_until_ready(READY_S)
            self.warm_up()
        self._ended = None
        self.running.server.require_own()

    def warm_up(self) -> None:
        """Send a request again and again, since the first ones of a model are slow."""
        request, end = self.candidates.request(self.served), time.monotonic() + WARM_UP_S
        with ModelClient(self.running.server.ports, self.served.name) as client:
            client.infer(request)
            while time.monotonic() < end:
                client.infer(request)

    def seconds(self, rate_per_s: float) -> float:
        """Return the seconds of a point, within the time that is left: enough requests for p99 and for its windows."""
        requests = max(LEAST_REQUESTS, WINDOWS * self.requests)
        wanted = max(LEAST_S, requests / rate_per_s, LATENCIES * self.row["mean_ms"] / 1e3)
        return min(wanted, max(LEAST_S, FEWEST / rate_per_s, (self.end - time.monotonic()) / POINTS))
