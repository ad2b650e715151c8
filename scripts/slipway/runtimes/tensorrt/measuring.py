"""Measuring an engine on its GPU: each step by itself, a whole request, and how much goes through."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import graph
from .inspector import activation_bytes
from .runner import Engine, StreamContext

# Batches that are enqueued ahead before the host waits.
AHEAD = 32


class Measurement:
    """One engine file under measurement at one batch size, on random input."""

    def __init__(
        self, engine: Engine, path: str | Path, precision: str, batch: int, seconds: float, warmup_seconds: float
    ) -> None:
        """Prepare to measure `engine`; its file is loaded again for each further stream."""
        self._another = lambda: Engine(path, precision, device=engine.device)
        self._engine = engine
        self._batch = batch
        self._seconds = seconds
        self._warmup_seconds = warmup_seconds

    def run(self, minimum: int, streams: list[int]) -> dict:
        """Return samples in ms, throughput in images/s for each number of streams, device memory in bytes."""
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
        """Time each quantity for its share of some seconds; a graph's are None where there is none."""
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
        """Return images/s with batches enqueued ahead, by the number of streams, each with an engine of its own.

        The seconds are shared by three kinds (as it is, as a graph, with both transfers) and the numbers of streams.
        An engine each, because before TensorRT 8.6 two contexts of one engine cannot share an optimization profile.
        """
        twins = self._engine.twins  # kept for the next batch size: a device frees no buffer before it closes
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
            "throughput_graph_per_s": graphs and by_streams([each.launch for each in graphs]),
            "throughput_with_transfers_per_s": by_streams(
                [each.launch for each in wholes]
                if wholes
                else [stream_context.transfer_and_run for stream_context in stream_contexts]
            ),
        }

    def _throughput(self, stream_contexts: list[StreamContext], launches: list[Callable], seconds: float) -> float:
        """Return images/s: batches go to the streams in turn, many ahead of the GPU."""
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
    """Put random pixels, or standard normal numbers, into a batch of the input, and on the GPU."""
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
    """Return a stream context's graphs (the run alone, and with both transfers), or why there are none."""
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
    """Return the milliseconds that some work takes on the GPU, by events around it."""
    before, after = stream_context.events
    before.record(stream_context.stream)
    work()
    after.record(stream_context.stream)
    after.synchronize()
    return after.milliseconds_since(before)


def on_host(stream_context: StreamContext, work: Callable[[], None]) -> float:
    """Return the milliseconds that the host takes to hand some work to the GPU."""
    start = time.perf_counter()
    work()
    taken = time.perf_counter() - start
    stream_context.stream.synchronize()
    return taken * 1e3


def whole(stream_context: StreamContext, work: Callable[[], None]) -> float:
    """Return the milliseconds from handing some work to the GPU until its result is there."""
    start = time.perf_counter()
    work()
    stream_context.stream.synchronize()
    return (time.perf_counter() - start) * 1e3


def repeat(call: Callable[[], Any], seconds: float, minimum: int) -> list:
    """Call for some seconds and at least `minimum` times; return what each call gave."""
    found = []
    end = time.perf_counter() + seconds
    while len(found) < minimum or time.perf_counter() < end:
        found.append(call())
    return found
