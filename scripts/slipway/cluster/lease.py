"""A Lease in the cluster, so that only one machine at a time deploys a model to a namespace."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import psutil

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Conflict
from slipway.cluster.api_resources import named
from slipway.core.errors import SlipwayError
from slipway.core.polling import polling

# A holder that has not renewed its lease for DURATION_S seconds counts as dead. A running holder renews every RENEW_S.
DURATION_S = 30
RENEW_S = 10.0


@contextmanager
def hold(cluster: Cluster, name: str) -> Iterator["HeldLease"]:
    """Context manager: hold the Lease `name`, so that no other machine deploys meanwhile; yield the HeldLease.

    Raises SlipwayError if somebody else has the Lease, with the holder and the start time. Raises SlipwayError also if
    the Lease was lost before the block ended.
    """
    held = HeldLease(cluster, name)
    held.take()
    try:
        with polling(held.keep, RENEW_S, f"lease {name}"):
            yield held
            held.require()
    finally:
        held.release()


class HeldLease:
    """A Lease (Kubernetes' lock, which expires if its holder dies) that this process takes, renews and releases.

    The times in the Lease come from the API server's clock, because the clocks of two machines differ.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._renewing = threading.Lock()
        process = psutil.Process()
        self.identity = f"{process.username()}@{socket.gethostname()} (process {process.pid}, {uuid.uuid4().hex[:8]})"
        self._cluster, self._name = cluster, name
        self._lease = named("Lease", name, "coordination.k8s.io/v1")
        self._live: dict = {}
        self._lost = ""
        self._offset_s = cluster.transport.now() - time.monotonic()
        self._renewed_at = time.monotonic()

    def take(self) -> None:
        """Take the lease; raise SlipwayError with the holder if the lease is not free."""
        live = self._cluster.get(self._lease) or {}
        self._require_free(live)
        try:
            held = {"holderIdentity": self.identity, "leaseDurationSeconds": DURATION_S}
            held |= dict.fromkeys(("acquireTime", "renewTime"), self._now())
            put = self._cluster.replace if live else self._cluster.create
            self._live = put({**self._lease, **live, "spec": held})
        except Conflict:
            # Either another deployment was faster, or this request succeeded but the answer was lost.
            self._live = self._cluster.get(self._lease) or {}
            if self._live.get("spec", {}).get("holderIdentity") != self.identity:
                self._require_free(self._live)
                raise

    def keep(self) -> None:
        """Renew the lease before it expires, unless it was lost; `hold` calls this every RENEW_S seconds.

        An error is ignored, because the next renewal may succeed.
        """
        if not self._lost:
            # After a failed renewal, other deployments still wait until the lease expires.
            with suppress(SlipwayError):
                self._renew()

    def require(self) -> None:
        """Raise SlipwayError if another machine may have the lease by now.

        Call this before a step that cannot be undone. If the lease was not renewed in time, try it once more: during an
        outage of the API, nobody can take the lease. So if this renewal succeeds, the lease was never lost.
        """
        failed = ""
        if not self._lost and time.monotonic() - self._renewed_at > DURATION_S:
            try:
                self._renew()
            except SlipwayError as error:
                failed = f"it could not be renewed for {DURATION_S} s ({error})"
        if lost := self._lost or failed:
            raise SlipwayError(
                f"the lease {self._name} of this deployment was lost: {lost}. Another deployment may run at the same "
                "time: see `status` for what is live, and deploy again"
            )

    def release(self) -> None:
        """Delete the lease in the cluster, unless somebody else has the lease by now."""
        # In that case, the API refuses the request. After another error, the lease expires.
        with suppress(SlipwayError):
            self._cluster.delete(self._live, unchanged=True)

    def _renew(self) -> None:
        with self._renewing:
            live = self._cluster.get(self._lease)
            holder = live["spec"].get("holderIdentity") if live else "nobody"
            if live is None or holder != self.identity:
                self._lost = f"{holder} holds it now"
                return
            self._live = self._cluster.replace({**live, "spec": {**live["spec"], "renewTime": self._now()}})
            self._renewed_at = time.monotonic()

    def _require_free(self, live: dict) -> None:
        spec = live.get("spec", {})
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if not holder or not renewed:
            return
        age_s = self._seconds() - datetime.fromisoformat(renewed).timestamp()
        lasts_s = spec.get("leaseDurationSeconds", DURATION_S)
        if age_s <= lasts_s:
            raise SlipwayError(
                f"{holder} is deploying to {self._cluster.namespace} in {self._cluster.context} since "
                f"{spec.get('acquireTime', renewed)} (lease {self._name}). Wait until it is through; if it has died, "
                f"its lease ends {lasts_s - age_s:.0f} s from now. Nothing was changed"
            )

    def _seconds(self) -> float:
        return time.monotonic() + self._offset_s

    def _now(self) -> str:
        return datetime.fromtimestamp(self._seconds(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
