"""Detect a model load that never ends: Triton waits forever for a process that was killed during its start."""

import contextlib
import time
from collections.abc import Iterator

import psutil
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.core.polling import polling

# After the death of a process, Triton ends a load with an error within this time, or never.
DEATH_S, INTERVAL_S = 5.0, 0.5


class Stuck(SlipwayError):
    """A model load in Triton does not end."""


@contextlib.contextmanager
def ending_loads(client: InferenceServerClient, server: int | None, timeout_s: float) -> Iterator[None]:
    """Context manager: end a load of models that would never end, and turn the block's errors into SlipwayErrors.

    The block loads models by `client`. `server` is the server's process id; None detects no dead process. Raises Stuck
    if a load does not end within `timeout_s` seconds, or within DEATH_S after the death of a process that the load
    started. Raises SlipwayError with Triton's message for every other error.
    """
    before, dead_since = _children(server).keys(), list[float]()

    def end_if_stuck() -> None:
        if psutil.STATUS_ZOMBIE not in [status for pid, status in _children(server).items() if pid not in before]:
            dead_since.clear()
        elif time.monotonic() - (dead_since or [time.monotonic()])[0] > DEATH_S:
            client.close()  # this ends the call that waits for the load
        elif not dead_since:
            dead_since.append(time.monotonic())

    try:
        with polling(end_if_stuck, INTERVAL_S, "the server's processes during a load"):
            yield
    except InferenceServerException as error:
        if error.status() == "StatusCode.DEADLINE_EXCEEDED":
            raise Stuck(f"Triton does not end a load within {timeout_s:.0f} s (`deploy.ready_timeout_s`)") from None
        if error.status() == "StatusCode.CANCELLED":
            raise Stuck("a process died that was to load an engine, and Triton waits for it for ever") from None
        raise SlipwayError(f"Triton cannot load the new version: {error.message()}") from None


def _children(server: int | None) -> dict[int, str]:
    """Return {process id: status} of a server's child processes. A dead child is listed until the server reaps it."""
    with contextlib.suppress(psutil.Error):
        return {child.pid: child.status() for child in psutil.Process(server).children()} if server else {}
    return {}
