"""Time forward passes that PyTorch or ONNX Runtime enqueues on a CUDA stream, with the same quantities as for engines.

`QUANTITIES` in scripts/benchmark.py explains each quantity.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np

from slipway.benchmark.timing import Effort, warm_up
from slipway.core.pytorch import torch

# A function from input tensors to output tensors, all on the GPU.
Forward = Callable[..., tuple[torch.Tensor, ...]]


@cache
def stream_of(number: int) -> torch.cuda.Stream:
    """Return the CUDA stream with this number. The same number always gives the same stream.

    Libraries keep a workspace for each stream, so new streams would take more and more memory.
    """
    return torch.cuda.Stream()


class StreamContext:
    """A forward pass on its own CUDA stream: inputs on the GPU, pinned memory for inputs and outputs, a CUDA graph.

    `enqueue`, `replay`, `upload` and `download` use the current stream, so the caller must make `stream` the current
    stream. `host_outputs` are the last downloaded outputs. They are valid after the stream is synchronised.
    """

    def __init__(self, forward: Forward, inputs: Sequence[np.ndarray], number: int = 0) -> None:
        """Copy the inputs to the GPU, and run the forward pass once to get the shapes of the outputs.

        `number` chooses the stream (see `stream_of`): contexts with different numbers can run at the same time.
        """
        self.stream = stream_of(number)
        self._forward = forward
        self._graph: torch.cuda.CUDAGraph  # set by `capture`
        self._host_inputs = [torch.from_numpy(array).pin_memory() for array in inputs]
        with torch.cuda.stream(self.stream):
            self._inputs = [tensor.to("cuda", non_blocking=True) for tensor in self._host_inputs]
            self._outputs = forward(*self._inputs)
        self.stream.synchronize()
        self.host_outputs = [torch.empty(out.shape, dtype=out.dtype, pin_memory=True) for out in self._outputs]

    def enqueue(self) -> None:
        """Enqueue one forward pass on the current CUDA stream."""
        self._outputs = self._forward(*self._inputs)

    def capture(self) -> None:
        """Capture the forward pass as a CUDA graph. Raise RuntimeError if it cannot be captured."""
        with torch.cuda.stream(self.stream):
            for _ in range(3):  # first runs choose kernels and allocate workspaces: not for a graph
                self.enqueue()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self._graph_outputs = self._forward(*self._inputs)
        torch.cuda.synchronize()
        self._graph = graph

    def replay(self) -> None:
        """Enqueue the CUDA graph that `capture` made. Its outputs stay at the same addresses in each replay."""
        self._graph.replay()
        self._outputs = self._graph_outputs

    def run_of(self, suffix: str) -> Callable[[], None]:
        """Return the method that enqueues a forward pass: `replay` for the suffix "_graph", `enqueue` for ""."""
        return self.replay if suffix else self.enqueue

    def upload(self) -> None:
        """Enqueue the copies of the inputs from the host to the GPU."""
        for tensor, source in zip(self._inputs, self._host_inputs, strict=True):
            tensor.copy_(source, non_blocking=True)

    def download(self) -> None:
        """Enqueue the copies of the outputs from the GPU to the host (`host_outputs`)."""
        for target, tensor in zip(self.host_outputs, self._outputs, strict=True):
            target.copy_(tensor, non_blocking=True)


def measure_forward(
    forward: Forward,
    inputs: Sequence[np.ndarray],
    batch: int,
    effort: Effort,
    streams: Iterable[int] = (1,),
    graph: bool = False,
) -> dict:
    """Measure a forward pass on a batch of inputs, with the same quantities as an engine.

    Returns "samples_ms" {quantity: times}, "throughput_per_s" {number of streams: inferences/s},
    "throughput_graph_per_s" (the same with a CUDA graph, or None), "device_memory_bytes" (the peak of PyTorch's
    tensors), and "no_graph_reason" (why no CUDA graph was measured, or None). `batch` is the number of samples in
    `inputs`. The throughput is measured with each number of CUDA streams in `streams`. With `graph`, a CUDA graph is
    measured, too.
    """
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    counts = sorted(set(streams))
    with torch.inference_mode():
        contexts = [StreamContext(forward, inputs)]
        no_graph = _capture(contexts[0]) if graph else "not measured"
        suffixes = ["", "_graph"] if no_graph is None else [""]
        share = 1 / (len(suffixes) * (2 + len(counts)) + 1)
        samples: dict[str, list[float]] = {}
        throughput: dict[str, dict[str, float]] = {}
        for suffix in suffixes:
            samples |= _sample_mode(contexts[0], suffix, share, effort, len(suffixes))
        samples |= _sample_transfers(contexts[0], share, effort)
        contexts += [StreamContext(forward, inputs, number) for number in range(1, counts[-1])]
        for suffix in suffixes:
            for context in contexts[1:] if suffix else []:
                context.capture()
            batches = _batches(statistics.median(samples[f"gpu{suffix}"]) / 1e3, share, effort)
            throughput[suffix] = {
                str(count): round(batch / _seconds_a_batch(contexts[:count], suffix, batches), 2) for count in counts
            }
    return {
        "samples_ms": samples,
        "throughput_per_s": throughput[""],
        "throughput_graph_per_s": throughput.get("_graph"),
        "device_memory_bytes": torch.cuda.max_memory_allocated(),
        "no_graph_reason": no_graph,
    }


def _capture(context: StreamContext) -> str | None:
    """Capture the CUDA graph of a stream context. Return the reason if the capture failed, None otherwise."""
    try:
        context.capture()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def _sample_mode(
    context: StreamContext, suffix: str, share: float, effort: Effort, modes: int
) -> dict[str, list[float]]:
    """Measure plain runs (suffix "") or CUDA graphs (suffix "_graph"), after a warm-up. Return {quantity: times (ms)}.

    The quantities are "gpu", "enqueue" and "end_to_end", with the suffix. `share` is the share (0..1) of the effort's
    time for the GPU times; the end-to-end times take the same share. `modes` is 2 if plain runs and CUDA graphs are
    measured, else 1: they share the time of the warm-up.
    """
    run = context.run_of(suffix)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    gpu, enqueue = [], []

    def resident() -> None:
        begin.record()
        start = time.perf_counter()
        run()
        enqueue.append((time.perf_counter() - start) * 1e3)
        end.record()
        end.synchronize()
        gpu.append(begin.elapsed_time(end))

    def round_trip() -> None:
        context.upload()
        run()
        context.download()
        context.stream.synchronize()

    with torch.cuda.stream(context.stream):
        warm_up(round_trip, effort.warmup_seconds / modes)
        effort.sample(resident, share)
        round_trips = effort.sample(round_trip, share)
    return {f"gpu{suffix}": gpu, f"enqueue{suffix}": enqueue, f"end_to_end{suffix}": round_trips}


def _sample_transfers(context: StreamContext, share: float, effort: Effort) -> dict[str, list[float]]:
    """Return {"h2d", "d2h"}: times (ms) to copy all inputs to the GPU, and all outputs to the host."""
    begin, between, end = (torch.cuda.Event(enable_timing=True) for _ in range(3))
    samples: dict[str, list[float]] = {"h2d": [], "d2h": []}

    def once() -> None:
        begin.record()
        context.upload()
        between.record()
        context.download()
        end.record()
        end.synchronize()
        samples["h2d"].append(begin.elapsed_time(between))
        samples["d2h"].append(between.elapsed_time(end))

    with torch.cuda.stream(context.stream):
        effort.sample(once, share)
    return samples


def _batches(seconds: float, share: float, effort: Effort) -> int:
    """Return how many batches, at least one, to enqueue for a throughput. A batch takes `seconds`.

    They fit into the `share` (0..1) of the effort's time. If these are fewer than `min_samples`, the share of the
    effort's budget may be used, too.
    """
    fitting = max(effort.min_samples, math.ceil(share * effort.seconds / seconds))
    return max(1, min(fitting, int(share * max(effort.seconds, effort.budget_seconds) / seconds)))


def _seconds_a_batch(contexts: list[StreamContext], suffix: str, batches: int) -> float:
    """Measure a throughput: enqueue at least `batches` batches, in turn on the streams, and wait once at the end.

    Returns the seconds per batch. A batch is a plain run (`suffix` "") or a CUDA graph (`suffix` "_graph").
    """
    runs = [(context.stream, context.run_of(suffix)) for context in contexts]
    rounds = math.ceil(batches / len(contexts))
    torch.cuda.synchronize()
    with torch.cuda.stream(contexts[0].stream):
        start = time.perf_counter()
        for _ in range(rounds):
            for stream, run in runs:
                torch.cuda.set_stream(stream)
                run()
        torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
    return elapsed / (rounds * len(contexts))
