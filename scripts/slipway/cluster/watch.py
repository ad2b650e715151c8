"""Watches of a cluster: list the objects, then follow their changes; resume each watch when it breaks."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import urllib3
from kubernetes import client, watch

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Gone, Refused, Unreachable
from slipway.cluster.api_resources import named
from slipway.cluster.transport import OUTAGE_S, PAUSE_S
from slipway.core.errors import SlipwayError

# Duration of one watch, before the next one continues. The API server itself ends a watch after some minutes.
WATCH_S = 240
# How long the API may refuse a request that it allowed before. It does so while it starts and does not know the roles
# yet.
REFUSED_S = 20


@dataclass(frozen=True)
class Interest:
    """A kind of objects to watch. If it is not `required`, the cluster may forbid it.

    `selectors` are the API's parameters, labelSelector and fieldSelector.
    """

    kind: str
    api_version: str
    selectors: dict[str, str]
    required: bool = True


@dataclass
class Followed:
    """The present objects of all interests, by kind and name, and the objects that are gone.

    `changes` gets None at each change, and an error when a watch fails for good.
    """

    objects: dict[tuple[str, str], dict] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    changes: "queue.Queue[SlipwayError | None]" = field(default_factory=queue.Queue)

    def of(self, kind: str) -> list[dict]:
        """Return the objects of a kind."""
        return [found for (of_kind, _), found in list(self.objects.items()) if of_kind == kind]

    def await_change(self, timeout_s: float) -> None:
        """Return at the next change, or at the timeout; raise SlipwayError if watching fails for good."""
        with suppress(queue.Empty):
            error = self.changes.get(timeout=max(0.0, timeout_s))
            while error is None:
                error = self.changes.get_nowait()
            raise error


@contextmanager
def following(cluster: Cluster, interests: list[Interest]) -> Iterator[Followed]:
    """Yield the watched objects, after the first lists are complete; stop watching when the block ends."""
    followed = Followed()
    followers = [_Follower(cluster, interest, followed) for interest in interests]
    try:
        for follower in followers:
            follower.start()
        for follower in followers:
            follower.listed.wait(OUTAGE_S)
        yield followed
    finally:
        for follower in followers:
            follower.end()


class _Follower(threading.Thread):
    """A thread that keeps the objects of one interest up to date."""

    def __init__(self, cluster: Cluster, interest: Interest, followed: Followed) -> None:
        super().__init__(name=f"watch of {interest.kind}", daemon=True)
        self._cluster, self._interest, self._followed = cluster, interest, followed
        self.listed = threading.Event()
        self._names: set[str] = set()
        self._ended = threading.Event()
        self._open: urllib3.HTTPResponse | None = None
        self._failing_since: dict[type, float] = {}

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow(self._list())
            except (Refused, Unreachable) as error:
                if self._is_final(error):
                    self.listed.set()
                    if self._interest.required and not self._ended.is_set():
                        self._followed.changes.put(error)
                    return
                self._ended.wait(PAUSE_S)

    def _is_final(self, error: Refused | Unreachable) -> bool:
        """Say whether a failure is permanent. An expired resourceVersion is not: the objects are listed anew."""
        if isinstance(error, Gone):
            return False
        kind, lasting_s = (Refused, REFUSED_S) if isinstance(error, Refused) else (Unreachable, OUTAGE_S)
        if kind is Refused and self._open is None:
            return True
        return time.monotonic() - self._failing_since.setdefault(kind, time.monotonic()) > lasting_s

    def end(self) -> None:
        """End the watch, even while it waits for an event."""
        self._ended.set()
        self._hang_up()
        self.join(timeout=1)

    def _hang_up(self) -> None:
        # Raised if the watch is not open, or is closed already.
        with suppress(OSError, ValueError, RuntimeError, AttributeError):
            if self._open:
                self._open.shutdown()

    def _list(self) -> str:
        """Store the present objects. Return their resourceVersion, where the watch of changes begins."""
        interest = self._interest
        listed = self._cluster.listed(interest.kind, interest.api_version, everywhere=False, **interest.selectors)
        now = {found["metadata"]["name"]: found for found in listed["items"]}
        for name in self._names - set(now):
            self._take("DELETED", {"metadata": {"name": name}})
        for found in now.values():
            self._take("MODIFIED", found)
        self.listed.set()
        self._followed.changes.put(None)
        return listed["metadata"]["resourceVersion"]

    def _follow(self, version: str) -> None:
        """Store the changes since a resourceVersion, with as many watches as needed; return when it has expired."""
        while not self._ended.is_set():
            watcher = watch.Watch("object")
            try:
                for event in watcher.stream(self._opened, resource_version=version, timeout_seconds=WATCH_S):
                    self._take(event["type"], event["raw_object"])
                    self._followed.changes.put(None)
            except (client.ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if isinstance(error, client.ApiException) and error.status == 410:  # gone
                    return
                self._ended.wait(PAUSE_S)
            version = watcher.resource_version or version

    def _opened(self, resource_version: str, timeout_seconds: int, **_: object) -> urllib3.HTTPResponse:
        cluster, interest = self._cluster, self._interest
        parameters = {"watch": "true", "resourceVersion": resource_version, "timeoutSeconds": str(timeout_seconds)}
        request = cluster.request("watch", named(interest.kind, "", interest.api_version))
        # A quiet cluster sends nothing, so only the watch's own duration limits the wait.
        patience_s = timeout_seconds + cluster.transport.timeout_s
        query = parameters | interest.selectors
        self._open = cluster.transport.opened(request, query, wait_s=patience_s)
        self._failing_since.clear()
        if self._ended.is_set():
            self._hang_up()
        return self._open

    def _take(self, event: str, found: dict) -> None:
        if event == "BOOKMARK":
            return
        name = found["metadata"]["name"]
        key = (self._interest.kind, name)
        if event == "DELETED":
            self._names.discard(name)
            self._followed.objects.pop(key, None)
            self._followed.gone.add(key)
        else:
            self._names.add(name)
            self._followed.gone.discard(key)
            self._followed.objects[key] = {**found, "kind": self._interest.kind}
