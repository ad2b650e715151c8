"""Measure the capacity of one configuration: send requests at given rates, whether or not earlier ones are answered.

A point is the measurement of one rate. A `Prober` decides how long a point lasts, and starts a server again that ended.
"""

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
# A point has at least LEAST_REQUESTS, which p99 needs, and lasts at least LEAST_S and LATENCIES times the mean latency.
# Then only few requests are unanswered at the end of a point, unless a queue grows.
LEAST_REQUESTS, LEAST_S, LATENCIES = 110, 2.0, 25
# If time is short, a point still lasts long enough for this many requests.
FEWEST = 10
# The usual number of points in a search. A point gets at most 1 / POINTS of the remaining time.
POINTS = 5
# Seconds of requests before the first point.
WARM_UP_S = 0.5
# Seconds for a server to end after perf_analyzer has lost the connection.
ENDING_S = 5.0


@dataclass
class Prober:
    """Measures one configuration at several request rates until `end`, a time of the monotonic clock (s).

    `running` is the server with the model `served`. `row` is the configuration's measurement in the load test; a search
    begins at its throughput. `requests` is the least number of requests in a window. `p99_limit_ms` is the limit that a
    rate must hold; None is no limit.
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
        """Measure the rates. Return (points, reason of an early end or None), as `capacity.search`.

        `rates` are the rates (requests/s) to measure, or [AUTO] for a bisection. `needed_per_s` is the rate that the
        configuration must hold to be chosen, or None. The bisection begins at this rate or, with None, at the
        throughput of the load test.
        """
        first, given = needed_per_s or self.row["throughput_per_s"], rates != [AUTO]
        left = iter(sorted(map(float, rates if given else [])))
        next_of = (lambda _: next(left, None)) if given else partial(capacity.next_rate, first=first)
        return capacity.search(self.point, next_of, self.has_time, None if given else needed_per_s)

    def has_time(self, rate_per_s: float) -> bool:
        """Say whether the time until `end` suffices to measure a rate (requests/s).

        It must suffice for a point as long as the last one, and for FEWEST requests at this rate.
        """
        return time.monotonic() + max(self._step_s, FEWEST / rate_per_s) < self.end

    def point(self, rate_per_s: float) -> dict:
        """Measure one rate (requests/s), and return its point with "outcome": whether the rate holds.

        The outcome and the other keys are those of `capacity.judged`. The point also has the shares of
        `Interference.figures`, and "verdict": "disturbed" if other programs took the CPUs, else "steady".
        """
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
        """Return the figures of one rate (requests/s), as `Sender.measure`, without a judgement on them.

        If no answer came in time, return {"asked_per_s": the rate, "requests": 0}. If the server ended meanwhile,
        "ended" has the reason, too. Raises SlipwayError if perf_analyzer fails although the server still runs.
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
        remove_leftovers(f"{server.id}-", but_of=set())  # its backends' processes may still run
        return unanswered | {"ended": self._ended}

    def restart_if_ended(self) -> None:
        """Start the server again if it ended while the last point was measured, as under too many requests.

        Raises SlipwayError unless this server answers at its ports.
        """
        if self._ended:
            self.running.server.start()
            self.running.server.wait_until_ready(READY_S)
            self.warm_up()
        self._ended = None
        self.running.server.require_own()

    def warm_up(self) -> None:
        """Send requests one after the other for WARM_UP_S seconds, since the first requests of a model are slow."""
        request, end = self.candidates.request(self.served), time.monotonic() + WARM_UP_S
        with ModelClient(self.running.server.ports, self.served.name) as client:
            client.infer(request)
            while time.monotonic() < end:
                client.infer(request)

    def seconds(self, rate_per_s: float) -> float:
        """Return for how long (s) to measure a rate (requests/s).

        It is long enough for p99 and for the windows, within the remaining time.
        """
        requests = max(LEAST_REQUESTS, WINDOWS * self.requests)
        wanted = max(LEAST_S, requests / rate_per_s, LATENCIES * self.row["mean_ms"] / 1e3)
        return min(wanted, max(LEAST_S, FEWEST / rate_per_s, (self.end - time.monotonic()) / POINTS))
