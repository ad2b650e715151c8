"""Measuring a forward pass that PyTorch or ONNX Runtime enqueues on a CUDA stream; the times of an engine's worker.

    gpu         between two CUDA events around the forward pass, input and output on the GPU, GPU idle before: what
                the host cannot enqueue in time counts too
    enqueue     host time of the call that enqueues the forward pass
    h2d, d2h    between CUDA events, input from pinned memory to the GPU, output from the GPU to pinned memory
    end_to_end  host clock: pinned memory, GPU, forward pass, pinned memory, stream synchronised

`gpu_graph`, `enqueue_graph` and `end_to_end_graph` are the same with the forward pass replayed as a CUDA graph.
Throughput has the input on the GPU and every batch enqueued before the one wait at the end.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from slipway.benchmark.timing import Effort, sample_latency, warm_up

if TYPE_CHECKING:
    import torch

Forward = Callable[["torch.Tensor"], "torch.Tensor"]  # (N, 3, H, W) on the GPU -> float32 (N, classes) on the GPU


@cache
def stream_of(number: int) -> "torch.cuda.Stream":
    """Return stream `number`, the same one each time: libraries keep a workspace for every stream."""
    import torch

    return torch.cuda.Stream()


class StreamContext:
    """A forward pass on a stream of its own: its input on the GPU, pinned memory on both sides, a CUDA graph of it.

    `enqueue`, `replay`, `upload` and `download` go to the current stream, which the caller makes this stream_context's.
    `host_output` is what was last downloaded, float32 (N, classes), once the stream is synchronised.
    """

    def __init__(self, forward: Forward, images: np.ndarray, number: int = 0) -> None:
        """Put `images` (N, 3, H, W) on the GPU and run once, which also finds the shape of the output."""
        import torch

        self.stream = stream_of(number)
        self._forward = forward
        self._graph: torch.cuda.CUDAGraph | None = None
        self._host_images = torch.from_numpy(images).pin_memory()
        with torch.cuda.stream(self.stream):
            self._images = self._host_images.to("cuda", non_blocking=True)
            self._output = forward(self._images)
        self.stream.synchronize()
        self.host_output = torch.empty(self._output.shape, dtype=self._output.dtype, pin_memory=True)

    def enqueue(self) -> None:
        """Enqueue one forward pass."""
        self._output = self._forward(self._images)

    def capture(self) -> None:
        """Capture the forward pass as a CUDA graph; raise RuntimeError where it cannot be captured."""
        import torch

        with torch.cuda.stream(self.stream):
            for _ in range(3):  # libraries choose kernels and take workspaces on first use, which a graph cannot hold
                self.enqueue()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self._graph_output = self._forward(self._images)
        torch.cuda.synchronize()
        self._graph = graph

    def replay(self) -> None:
        """Enqueue the captured graph; its output lies where it lay when it was captured."""
        self._graph.replay()
        self._output = self._graph_output

    def upload(self) -> None:
        """Enqueue the copy of the input to the GPU."""
        self._images.copy_(self._host_images, non_blocking=True)

    def download(self) -> None:
        """Enqueue the copy of the output from the GPU."""
        self.host_output.copy_(self._output, non_blocking=True)


def measure_forward(
    forward: Forward,
    images: np.ndarray,
    effort: Effort,
    streams: Iterable[int] = (1,),
    graph: bool = False,
) -> dict:
    """Return samples in ms, images/s by number of streams, and peak memory of a forward pass on `images` (N, 3, H, W).

    The result has the keys of an engine worker's: samples_ms, throughput_per_s, throughput_graph_per_s,
    device_memory_bytes (the most that PyTorch's tensors took at once), no_graph_because. `graph` measures a CUDA graph
    too.
    """
    import torch

    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    counts = sorted(set(streams))
    with torch.inference_mode():
        stream_contexts = [StreamContext(forward, images)]
        no_graph = _capture(stream_contexts[0]) if graph else "not measured"
        ways = ["", "_graph"] if no_graph is None else [""]
        share = effort.seconds / (len(ways) * (2 + len(counts)) + 1)
        samples, throughput = {}, {}
        for way in ways:
            samples |= _sample_way(stream_contexts[0], way, share, effort, len(ways))
        samples |= _sample_transfers(stream_contexts[0], share, effort.min_samples)
        stream_contexts += [StreamContext(forward, images, number) for number in range(1, counts[-1])]
        for way in ways:
            for stream_context in stream_contexts[1:] if way else []:
                stream_context.capture()
            batches = max(effort.min_samples, math.ceil(share * 1e3 / statistics.median(samples[f"gpu{way}"])))
            throughput[way] = {
                str(count): round(len(images) / _seconds_a_batch(stream_contexts[:count], way, batches), 2)
                for count in counts
            }
    return {
        "samples_ms": samples,
        "throughput_per_s": throughput[""],
        "throughput_graph_per_s": throughput.get("_graph"),
        "device_memory_bytes": torch.cuda.max_memory_allocated(),
        "no_graph_because": no_graph,
    }


def _capture(stream_context: StreamContext) -> str | None:
    """Capture the graph of a stream context; return why that failed, or None."""
    try:
        stream_context.capture()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def _run_of(stream_context: StreamContext, way: str) -> Callable[[], None]:
    return stream_context.replay if way else stream_context.enqueue


def _sample_way(
    stream_context: StreamContext, way: str, seconds: float, effort: Effort, ways: int
) -> dict[str, list[float]]:
    """Return the samples of one way to run, "" or "_graph", each quantity for `seconds`, after warming up."""
    import torch

    run = _run_of(stream_context, way)

    def to_the_end() -> None:
        run()
        stream_context.stream.synchronize()

    with torch.cuda.stream(stream_context.stream):
        warm_up(to_the_end, effort.warmup_seconds / ways)
        gpu, enqueue = _sample_resident(run, seconds, effort.min_samples)
        round_trips = _sample_round_trips(stream_context, run, seconds, effort.min_samples)
    return {f"gpu{way}": gpu, f"enqueue{way}": enqueue, f"end_to_end{way}": round_trips}


def _sample_resident(run: Callable[[], None], seconds: float, minimum: int) -> tuple[list[float], list[float]]:
    """Return GPU times and enqueue times in ms of `run` on the current stream, one at a time."""
    begin, end = _events(2)
    gpu, enqueue = [], []

    def once() -> None:
        begin.record()
        start = time.perf_counter()
        run()
        enqueue.append((time.perf_counter() - start) * 1e3)
        end.record()
        end.synchronize()
        gpu.append(begin.elapsed_time(end))

    sample_latency(once, seconds, minimum)
    return gpu, enqueue


def _sample_round_trips(
    stream_context: StreamContext, run: Callable[[], None], seconds: float, minimum: int
) -> list[float]:
    """Return host times in ms from input in pinned memory to output in pinned memory."""

    def once() -> None:
        stream_context.upload()
        run()
        stream_context.download()
        stream_context.stream.synchronize()

    return sample_latency(once, seconds, minimum)


def _sample_transfers(stream_context: StreamContext, seconds: float, minimum: int) -> dict[str, list[float]]:
    """Return the times in ms of the copies in and out."""
    import torch

    begin, between, end = _events(3)
    found: dict[str, list[float]] = {"h2d": [], "d2h": []}

    def once() -> None:
        begin.record()
        stream_context.upload()
        between.record()
        stream_context.download()
        end.record()
        end.synchronize()
        found["h2d"].append(begin.elapsed_time(between))
        found["d2h"].append(between.elapsed_time(end))

    with torch.cuda.stream(stream_context.stream):
        sample_latency(once, seconds, minimum)
    return found


def _seconds_a_batch(stream_contexts: list[StreamContext], way: str, batches: int) -> float:
    """Return host seconds a batch: `batches` or more in turn on the streams, all enqueued before one wait."""
    import torch

    runs = [(stream_context.stream, _run_of(stream_context, way)) for stream_context in stream_contexts]
    rounds = math.ceil(batches / len(stream_contexts))
    torch.cuda.synchronize()
    with torch.cuda.stream(stream_contexts[0].stream):
        start = time.perf_counter()
        for _ in range(rounds):
            for stream, run in runs:
                torch.cuda.set_stream(stream)
                run()
        torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
    return elapsed / (rounds * len(stream_contexts))


def _events(count: int) -> "list[torch.cuda.Event]":
    import torch

    return [torch.cuda.Event(enable_timing=True) for _ in range(count)]
