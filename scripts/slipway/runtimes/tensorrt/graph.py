"""CUDA graphs through cuda-bindings (PyCUDA has none): work is captured once and launched with one call."""

from collections.abc import Callable
from typing import Any


def why_not() -> str | None:
    """Return the reason why CUDA graphs are not available; None if they are."""
    try:
        from cuda.bindings import driver  # noqa: F401
    except ImportError as error:
        return f"cuda-bindings cannot be imported ({error})"
    return None


class Graph:
    """The captured work of a stream. `work` must have run once before, so that it allocates nothing in the capture."""

    def __init__(self, stream: Any, work: Callable[[], None]) -> None:
        """Capture `work`. Raise ValueError if it cannot be captured."""
        from cuda.bindings import driver

        from .with_cuda_bindings import checked

        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._stream = driver.CUstream(int(stream.handle))
        checked(driver.cuStreamBeginCapture(self._stream, mode))
        try:
            work()
        finally:
            graph = checked(driver.cuStreamEndCapture(self._stream))
        # The function to instantiate a graph with flags has different names in CUDA 11 to 13.
        instantiate = getattr(driver, "cuGraphInstantiateWithFlags", driver.cuGraphInstantiate)
        self._graph = checked(instantiate(graph, 0))
        self._launch, self._checked = driver.cuGraphLaunch, checked

    def launch(self) -> None:
        """Enqueue the captured work on its stream."""
        self._checked(self._launch(self._graph, self._stream))
