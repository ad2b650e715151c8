"""What changes in a cluster, as it happens: lists, then real watches, resumed whenever they break."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import urllib3
from kubernetes import client, watch

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Refused, Unreachable
from slipway.cluster.transport import OUTAGE_S, PAUSE_S
from slipway.core.errors import SlipwayError

# How long one watch lasts before the next goes on from there; the API server itself ends them after some minutes.
WATCH_S = 240
# How long it may refuse what it allowed before, as it does while it starts and does not know the roles yet.
REFUSED_S = 20
GONE = 410


@dataclass(frozen=True)
class Interest:
    """Objects to watch: of a kind, with these selectors. What is not `required` may be forbidden to the user."""

    kind: str
    api_version: str
    label_selector: str = ""
    field_selector: str = ""
    required: bool = True


@dataclass
class Followed:
    """The objects of all interests as they are now, by kind and name, and which of them are there no longer.

    `changes` has a failure, or None for a change.
    """

    objects: dict[tuple[str, str], dict] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    changes: "queue.Queue[SlipwayError | None]" = field(default_factory=queue.Queue)

    def of(self, kind: str) -> list[dict]:
        """Return the objects of a kind."""
        return [found for (of_kind, _), found in list(self.objects.items()) if of_kind == kind]

    def await_change(self, timeout_s: float) -> None:
        """Return at the next change, or when the time is over; raise SlipwayError when watching fails for good."""
        with contextlib.suppress(queue.Empty):
            error = self.changes.get(timeout=max(0.0, timeout_s))
            while error is None:
                error = self.changes.get_nowait()
            raise error


@contextmanager
def following(cluster: Cluster, interests: list[Interest]) -> Iterator[Followed]:
    """Yield what is followed while the block runs, once it is known what there is."""
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
    """Keeps the objects of one interest up to date."""

    def __init__(self, cluster: Cluster, interest: Interest, followed: Followed) -> None:
        super().__init__(name=f"watch of {interest.kind}", daemon=True)
        self._cluster, self._interest, self._followed = cluster, interest, followed
        self.listed = threading.Event()
        self._names: set[str] = set()
        self._ended = threading.Event()
        self._open: urllib3.HTTPResponse | None = None
        self._was_open = False
        self._failing_since: dict[type, float] = {}

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow(self._list())
            except (Refused, Unreachable) as error:
                if self._is_final(error):
                    return self._give_up(error)
                self._ended.wait(PAUSE_S)
        return None

    def _is_final(self, error: Refused | Unreachable) -> bool:
        """Say whether a failure will not pass; a version that is forgotten is listed anew."""
        if isinstance(error, Refused) and error.code == GONE:
            return False
        if isinstance(error, Refused) and not self._was_open:
            return True
        began = self._failing_since.setdefault(type(error), time.monotonic())
        return time.monotonic() - began > (REFUSED_S if isinstance(error, Refused) else OUTAGE_S)

    def end(self) -> None:
        """End the watch, even one that waits for the cluster to say something."""
        self._ended.set()
        self._hang_up()
        self.join(timeout=1)

    def _hang_up(self) -> None:
        # It raises these where the watch is not open, or not any longer.
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            self._open.shutdown()

    def _give_up(self, error: SlipwayError) -> None:
        self.listed.set()
        if self._interest.required and not self._ended.is_set():
            self._followed.changes.put(error)

    def _list(self) -> str:
        """Take the objects as they are, and return the version from which changes follow."""
        interest = self._interest
        selectors = {"labelSelector": interest.label_selector, "fieldSelector": interest.field_selector}
        listed = self._cluster.listed(interest.kind, interest.api_version, **selectors)
        now = {found["metadata"]["name"]: found for found in listed["items"]}
        for name in self._names - set(now):
            self._take("DELETED", {"metadata": {"name": name}})
        for found in now.values():
            self._take("MODIFIED", found)
        self.listed.set()
        self._followed.changes.put(None)
        return listed["metadata"]["resourceVersion"]

    def _follow(self, version: str) -> None:
        """Take changes from a version on, over as many watches as it takes; return when that version is forgotten."""
        while not self._ended.is_set():
            watcher = watch.Watch("object")
            try:
                for event in watcher.stream(self._opened, resource_version=version, timeout_seconds=WATCH_S):
                    self._take(event["type"], event["raw_object"])
                    self._followed.changes.put(None)
            except client.ApiException as error:
                if error.status == GONE:
                    return
                self._ended.wait(PAUSE_S)
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                self._ended.wait(PAUSE_S)
            version = watcher.resource_version or version

    def _opened(self, resource_version: str, timeout_seconds: int, **_: object) -> urllib3.HTTPResponse:
        cluster, interest = self._cluster, self._interest
        kind = cluster.kind(interest.kind, interest.api_version)
        selectors = {"labelSelector": interest.label_selector, "fieldSelector": interest.field_selector}
        told = {"watch": "true", "resourceVersion": resource_version, "timeoutSeconds": str(timeout_seconds)}
        query = told | {name: selector for name, selector in selectors.items() if selector}
        asked = cluster.asked("watch", kind)
        path = kind.path(cluster.namespace)
        # A cluster in which nothing happens says nothing, so only a watch's own time limits it.
        patience_s = timeout_seconds + cluster.transport.timeout_s
        self._open = cluster.transport.opened("GET", path, asked, query=query, timeout_s=patience_s)
        self._was_open = True
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
