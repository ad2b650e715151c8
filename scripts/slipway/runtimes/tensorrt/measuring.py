"""Measure an engine on its GPU: each step alone, a whole request, and the throughput."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import graph
from .inspector import activation_bytes
from .runner import Engine, StreamContext

# The number of batches that the host enqueues before it waits.
AHEAD = 32


class Measurement:
    """The measurement of one engine at one batch size, on random input."""

    def __init__(
        self, engine: Engine, path: str | Path, precision: str, batch: int, seconds: float, warmup_seconds: float
    ) -> None:
        """Prepare to measure `engine`. Its file is loaded again for each further stream."""
        self._another = lambda: Engine(path, precision, device=engine.device)
        self._engine = engine
        self._batch = batch
        self._seconds = seconds
        self._warmup_seconds = warmup_seconds

    def run(self, minimum: int, streams: list[int]) -> dict:
        """Return samples (ms), throughput (images/s) for each number of streams, and device memory (bytes)."""
        engine = self._engine
        profile = engine.profile_for(self._batch)
        stream_context = engine.stream_context(profile)
        fill(stream_context, self._batch)
        repeat(
            lambda: (stream_context.transfer_and_run(), stream_context.stream.synchronize()), self._warmup_seconds, 2
        )
        recorded, reason = record(stream_context)
        samples = self._samples(stream_context, recorded, minimum, self._seconds / 2)
        return {
            "batch": self._batch,
            "profile": profile,
            "binding": engine.device.binding,
            "samples_ms": samples,
            "no_graph_because": reason,
            "device_memory_bytes": engine.plan_bytes
            + activation_bytes(engine.cuda_engine)
            + stream_context.buffer_bytes,
            **self._throughputs(profile, streams, reason is None, self._seconds / 2),
        }

    def _samples(
        self, stream_context: StreamContext, recorded: dict | None, minimum: int, seconds: float
    ) -> dict[str, list[float] | None]:
        """Measure each quantity for an equal share of the seconds. The graph's quantities are None without a graph."""
        graphs = recorded or {}
        work = {
            "gpu": lambda: on_gpu(stream_context, stream_context.enqueue),
            "gpu_graph": recorded and (lambda: on_gpu(stream_context, graphs["run"].launch)),
            "enqueue": lambda: on_host(stream_context, stream_context.enqueue),
            "enqueue_graph": recorded and (lambda: on_host(stream_context, graphs["run"].launch)),
            "h2d": lambda: on_gpu(stream_context, stream_context.upload),
            "d2h": lambda: on_gpu(stream_context, stream_context.download),
            "end_to_end": lambda: whole(stream_context, stream_context.transfer_and_run),
            "end_to_end_graph": recorded and (lambda: whole(stream_context, graphs["whole"].launch)),
        }
        share = seconds / len(work)
        return {name: repeat(call, share, minimum) if call else None for name, call in work.items()}

    def _throughputs(self, profile: int, streams: list[int], with_graph: bool, seconds: float) -> dict:
        """Return images/s by the number of streams, with batches enqueued ahead, and an engine for each stream.

        The seconds are divided among three kinds (plain, as a graph, with both transfers) and the numbers of streams.
        Each stream needs an engine, because before TensorRT 8.6 two contexts of one engine cannot share an optimization
        profile.
        """
        # The twins are reused for the next batch size, because a device frees its buffers only when it closes.
        twins = self._engine.twins
        while len(twins) < max(streams) - 1:
            twins.append(self._another())
        stream_contexts = [engine.stream_context(profile) for engine in [self._engine, *twins][: max(streams)]]
        for stream_context in stream_contexts:
            fill(stream_context, self._batch)
            stream_context.enqueue()
            stream_context.stream.synchronize()
        graphs = (
            [graph.Graph(stream_context.stream, stream_context.enqueue) for stream_context in stream_contexts]
            if with_graph
            else None
        )
        wholes = (
            [graph.Graph(stream_context.stream, stream_context.transfer_and_run) for stream_context in stream_contexts]
            if with_graph
            else None
        )
        share = seconds / (3 * len(streams))

        def by_streams(launches: list[Callable]) -> dict[str, float]:
            return {str(count): self._throughput(stream_contexts[:count], launches[:count], share) for count in streams}

        return {
            "throughput_per_s": by_streams([stream_context.enqueue for stream_context in stream_contexts]),
            "throughput_graph_per_s": graphs and by_streams([captured.launch for captured in graphs]),
            "throughput_with_transfers_per_s": by_streams(
                [captured.launch for captured in wholes]
                if wholes
                else [stream_context.transfer_and_run for stream_context in stream_contexts]
            ),
        }

    def _throughput(self, stream_contexts: list[StreamContext], launches: list[Callable], seconds: float) -> float:
        """Return images/s. Batches go to the streams in turn, many ahead of the GPU."""
        batches = 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(AHEAD):
                for launch in launches:
                    launch()
            batches += AHEAD * len(launches)
            for stream_context in stream_contexts:
                stream_context.stream.synchronize()
        return round(batches * self._batch / (time.perf_counter() - start), 2)


def fill(stream_context: StreamContext, batch: int) -> None:
    """Fill the input with a batch of random pixels or standard normal numbers, and copy it to the GPU."""
    random = np.random.default_rng(0)
    stream_context.set_batch(batch)
    shape = stream_context.host_input[:batch].shape
    if stream_context.host_input.dtype == np.uint8:
        stream_context.host_input[:batch] = random.integers(0, 256, shape, dtype=np.uint8)
    else:
        stream_context.host_input[:batch] = random.standard_normal(shape, dtype=np.float32)
    stream_context.upload()
    stream_context.stream.synchronize()


def record(stream_context: StreamContext) -> tuple[dict | None, str | None]:
    """Return (a stream context's graphs of the run alone and with both transfers, None), or (None, reason)."""
    reason = graph.why_not()
    if reason:
        return None, reason
    try:
        return {
            "run": graph.Graph(stream_context.stream, stream_context.enqueue),
            "whole": graph.Graph(stream_context.stream, stream_context.transfer_and_run),
        }, None
    except ValueError as error:
        return None, str(error)


def on_gpu(stream_context: StreamContext, work: Callable[[], None]) -> float:
    """Return the time (ms) of some work on the GPU, from events around it."""
    before, after = stream_context.events
    before.record(stream_context.stream)
    work()
    after.record(stream_context.stream)
    after.synchronize()
    return after.milliseconds_since(before)


def on_host(stream_context: StreamContext, work: Callable[[], None]) -> float:
    """Return the time (ms) that the host needs to enqueue some work."""
    start = time.perf_counter()
    work()
    elapsed = time.perf_counter() - start
    stream_context.stream.synchronize()
    return elapsed * 1e3


def whole(stream_context: StreamContext, work: Callable[[], None]) -> float:
    """Return the time (ms) from enqueuing some work until its result is available."""
    start = time.perf_counter()
    work()
    stream_context.stream.synchronize()
    return (time.perf_counter() - start) * 1e3


def repeat(call: Callable[[], Any], seconds: float, minimum: int) -> list:
    """Call for some seconds and at least `minimum` times. Return the results."""
    results = []
    end = time.perf_counter() + seconds
    while len(results) < minimum or time.perf_counter() < end:
        results.append(call())
    return results
