"""CUDA graphs through cuda-bindings (PyCUDA has none): work that is recorded once and launched with one call."""

from collections.abc import Callable
from typing import Any


def why_not() -> str | None:
    """Return why there are no CUDA graphs here, or None when there are."""
    try:
        from cuda.bindings import driver  # noqa: F401
    except ImportError as error:
        return f"cuda-bindings cannot be imported ({error})"
    return None


class Graph:
    """What `work` puts on a stream, recorded; `work` must have run once before, so that nothing is allocated in it."""

    def __init__(self, stream: Any, work: Callable[[], None]) -> None:
        """Record `work`; raise ValueError when it cannot be recorded."""
        from cuda.bindings import driver

        from .with_cuda_bindings import checked

        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._stream = driver.CUstream(int(stream.handle))
        checked(driver.cuStreamBeginCapture(self._stream, mode))
        try:
            work()
        finally:
            graph = checked(driver.cuStreamEndCapture(self._stream))
        # Of CUDA 11 to 13's functions that make a graph ready, the one that takes flags, whatever it is called.
        instantiate = getattr(driver, "cuGraphInstantiateWithFlags", driver.cuGraphInstantiate)
        self._graph = checked(instantiate(graph, 0))
        self._launch, self._checked = driver.cuGraphLaunch, checked

    def launch(self) -> None:
        """Put the recorded work on its stream."""
        self._checked(self._launch(self._graph, self._stream))
