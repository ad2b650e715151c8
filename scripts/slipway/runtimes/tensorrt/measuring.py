"""Measure an engine on its GPU: each step alone, a whole request, and the throughput."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .batching import Tensors
from .buffers import StreamContext
from .device import captured, why_no_graphs
from .inspector import activation_bytes
from .runner import Engine

Work = Callable[[], None]  # enqueues something on a stream
# The number of batches that the host enqueues before it waits.
AHEAD = 32
# The least seconds and samples of a turn. A profile whose time is shorter by this share (0..1) is called faster.
TURN_SECONDS, TURN_SAMPLES, FASTER = 0.04, 10, 0.05


def measure(
    engine: Engine,
    batch: int,
    seconds: float,
    warmup_seconds: float,
    min_samples: int,
    streams: list[int],
    inputs: Tensors | None = None,
    budget_seconds: float | None = None,
) -> dict:
    """Measure an engine at one batch size, on `inputs` (a batch of this size) or on random inputs (None).

    Random inputs have the profile's optimal sizes. Latencies and throughputs each get half of `seconds`. A slow engine
    is measured until it has `min_samples` of each quantity, but at most for `budget_seconds` (None: no limit).
    `streams` are the numbers of CUDA streams for the throughput. Returns "profile" (its index), "profile_choice" (see
    `profile_choice`), "binding" (the package for CUDA), "samples_ms" (see `_samples`), "no_graph_reason" (text or
    None), "device_memory_bytes", and the entries of `_throughputs`.
    """
    stream_context = warmed(engine, batch, warmup_seconds, inputs)
    graphs, reason = record(stream_context)
    memory = engine.plan_bytes + activation_bytes(engine.cuda_engine) + stream_context.buffer_bytes
    return {
        "profile": engine.profile_for(batch),
        "profile_choice": profile_choice(engine, batch, inputs),
        "binding": engine.device.binding,
        "samples_ms": _samples(stream_context, graphs, min_samples, seconds / 2, budget_seconds or math.inf),
        "no_graph_reason": reason,
        "device_memory_bytes": memory,
        **_throughputs(engine, batch, inputs, streams, bool(graphs), seconds / 2),
    }


def profile_choice(engine: Engine, batch: int, inputs: Tensors | None = None) -> dict:
    """Explain which optimization profile runs a batch size, and say whether another profile would be faster.

    Returns {"reason": text, "gpu_ms": {index of a profile: median time in ms}, "faster": index or None}. The times are
    those of all profiles that accept this size, as CUDA graphs if possible; "gpu_ms" is {} if there is only one, or if
    they cannot be timed. "faster" is a profile that is faster by more than the share FASTER.
    """
    chosen, *others = engine.profiles_for(batch)
    nearest = f"its optimum, batch {engine.profiles[chosen]['opt']}, is the nearest to {batch}"
    if not others:
        return {"reason": f"no other profile accepts batch {batch}", "gpu_ms": {}, "faster": None}
    try:
        times = _gpu_times(engine, [chosen, *others], batch, inputs)
    except ValueError as error:  # such as too little memory for one more execution context
        return {"reason": f"{nearest}; the others were not timed: {error}", "gpu_ms": {}, "faster": None}
    best = min(times, key=lambda index: times[index])
    faster = best if times[best] < (1 - FASTER) * times[chosen] else None
    return {"reason": nearest, "gpu_ms": {str(index): times[index] for index in times}, "faster": faster}


def _gpu_times(engine: Engine, profiles: list[int], batch: int, inputs: Tensors | None) -> dict[int, float]:
    """Return {profile: median GPU time (ms)} of a batch size, measured in turns (see `times_in_turns`)."""
    stream_contexts = [engine.stream_context(index) for index in profiles]
    for stream_context in stream_contexts:
        fill(engine, stream_context, batch, inputs)
        whole(stream_context, stream_context.transfer_and_run)
    return dict(zip(profiles, times_in_turns(stream_contexts, rounds=2)[0], strict=True))


def times_in_turns(stream_contexts: Sequence[StreamContext], rounds: int) -> tuple[list[float], bool]:
    """Time several engines or profiles on the GPU. Return ([median ms of each], whether the runs were CUDA graphs).

    Each stream context must have run once before. In each of `rounds`, all contexts take a turn, so that a warming or
    shared GPU slows all contexts equally. CUDA graphs are used only if all contexts allow them.
    """
    graphs = [record(stream_context)[0] for stream_context in stream_contexts]
    recorded = all(graphs)
    calls = [
        partial(on_gpu, stream_context, graph["run"] if recorded else stream_context.enqueue)
        for stream_context, graph in zip(stream_contexts, graphs, strict=True)
    ]
    series: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for samples, call in zip(series, calls, strict=True):
            samples += repeat(call, TURN_SECONDS, TURN_SAMPLES)
    return [round(statistics.median(samples), 5) for samples in series], recorded


def _samples(
    stream_context: StreamContext, graphs: dict[str, Work], minimum: int, seconds: float, longest_seconds: float
) -> dict[str, list[float] | None]:
    """Measure each step of a request many times. Return {quantity: [ms, ...]}.

    "gpu" is the engine's time on the GPU, "enqueue" the host's time to start the engine, "h2d" and "d2h" the times of
    the transfers, "end_to_end" the time of transfers and engine. "..._graph" is the same time as a CUDA graph, from
    `graphs`; None if there is no graph. All quantities have an equal share of `seconds` and of `longest_seconds`. See
    `repeat` for `minimum`.
    """
    work = {
        "gpu": (on_gpu, stream_context.enqueue),
        "gpu_graph": (on_gpu, graphs.get("run")),
        "enqueue": (on_host, stream_context.enqueue),
        "enqueue_graph": (on_host, graphs.get("run")),
        "h2d": (on_gpu, stream_context.upload),
        "d2h": (on_gpu, stream_context.download),
        "end_to_end": (whole, stream_context.transfer_and_run),
        "end_to_end_graph": (whole, graphs.get("whole")),
    }
    share, longest = seconds / len(work), longest_seconds / len(work)
    return {
        name: repeat(partial(clock, stream_context, run), share, minimum, longest) if run else None
        for name, (clock, run) in work.items()
    }


def _throughputs(
    engine: Engine, batch: int, inputs: Tensors | None, streams: list[int], with_graph: bool, seconds: float
) -> dict:
    """Measure the throughput of an engine on several CUDA streams. Each stream runs its own copy of the engine.

    Returns {kind: {number of streams: inferences per second}} for the numbers in `streams`. The kinds are
    "throughput_per_s" (without a CUDA graph), "throughput_graph_per_s" (None if there is no graph) and
    "throughput_with_transfers_per_s" (as a graph if possible). Each kind and number of streams has an equal share of
    `seconds`.
    """
    profile = engine.profile_for(batch)
    stream_contexts = [copy.stream_context(profile) for copy in engine.copies_for_streams(max(streams))]
    for stream_context in stream_contexts:
        fill(engine, stream_context, batch, inputs)
        stream_context.enqueue()
        stream_context.stream.synchronize()
    cuda_streams = [stream_context.stream for stream_context in stream_contexts]
    plain = [stream_context.enqueue for stream_context in stream_contexts]
    transferring = [stream_context.transfer_and_run for stream_context in stream_contexts]
    launches = {
        "throughput_per_s": plain,
        "throughput_graph_per_s": list(map(captured, cuda_streams, plain)) if with_graph else None,
        "throughput_with_transfers_per_s": list(map(captured, cuda_streams, transferring))
        if with_graph
        else transferring,
    }
    share = seconds / (len(launches) * len(streams))
    return {
        name: work and {str(count): _throughput(stream_contexts[:count], work, batch, share) for count in streams}
        for name, work in launches.items()
    }


def _throughput(stream_contexts: list[StreamContext], work: list[Work], batch: int, seconds: float) -> float:
    """Return inferences per second. The host enqueues batches on the streams in turn, many ahead of the GPU."""
    launches = work[: len(stream_contexts)]
    batches = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(AHEAD):
            for launch in launches:
                launch()
        batches += AHEAD * len(launches)
        for stream_context in stream_contexts:
            stream_context.stream.synchronize()
    return round(batches * batch / (time.perf_counter() - start), 2)


def warmed(engine: Engine, batch: int, seconds: float, inputs: Tensors | None = None) -> StreamContext:
    """Return the engine's stream context for a batch size, with filled inputs, after `seconds` of warm-up runs."""
    stream_context = engine.stream_context(engine.profile_for(batch))
    fill(engine, stream_context, batch, inputs)
    repeat(partial(whole, stream_context, stream_context.transfer_and_run), seconds, 2)
    return stream_context


def fill(engine: Engine, stream_context: StreamContext, batch: int, inputs: Tensors | None = None) -> None:
    """Fill the input buffers with `inputs`, a batch of this size, or with random values; copy them to the GPU.

    Without `inputs`, the values are random. Raises ValueError if `inputs` are a batch of another size.
    """
    if inputs is None:
        stream_context.set_shapes(stream_context.optimum(batch))
        for buffer in stream_context.inputs.values():
            _randomise(buffer.host)
    else:
        shapes = engine.shapes_of([inputs])
        if engine.batch_of(shapes) != batch:
            raise ValueError(f"the inputs to measure with are a batch of {engine.batch_of(shapes)}, not of {batch}")
        stream_context.set_shapes(shapes)
        stream_context.write([inputs])
    stream_context.upload()
    stream_context.stream.synchronize()


def _randomise(array: np.ndarray) -> None:
    """Fill an array with values that suit its dtype.

    Floating-point: normal random numbers. uint8: random pixels. bool: True. Other integers: 0, since an index 0 exists.
    """
    random = np.random.default_rng(0)
    if array.dtype.kind == "f":
        array[...] = random.standard_normal(array.shape, dtype=np.float32)
    elif array.dtype == np.uint8:
        array[...] = random.integers(0, 256, array.shape, dtype=np.uint8)
    else:
        array[...] = array.dtype == np.bool_


def record(stream_context: StreamContext) -> tuple[dict[str, Work], str | None]:
    """Capture the work of a stream context as CUDA graphs. Return ({name: function that launches the graph}, None).

    The graph "run" has only the engine. The graph "whole" has the engine and both transfers. If there can be no graphs,
    return ({}, the reason).
    """
    if reason := why_no_graphs():
        return {}, reason
    work = {"run": stream_context.enqueue, "whole": stream_context.transfer_and_run}
    try:
        return {name: captured(stream_context.stream, run) for name, run in work.items()}, None
    except ValueError as error:
        return {}, str(error)


def on_gpu(stream_context: StreamContext, work: Work) -> float:
    """Return the GPU time (ms) of `work`, from an event before and an event after it."""
    before, after = stream_context.events
    before.record(stream_context.stream)
    work()
    after.record(stream_context.stream)
    after.synchronize()
    return stream_context.device.milliseconds(before, after)


def on_host(stream_context: StreamContext, work: Work) -> float:
    """Return the time (ms) that the host needs to enqueue `work`."""
    start = time.perf_counter()
    work()
    elapsed = time.perf_counter() - start
    stream_context.stream.synchronize()
    return elapsed * 1e3


def whole(stream_context: StreamContext, work: Work) -> float:
    """Return the time (ms) from the enqueueing of `work` until its result is available."""
    start = time.perf_counter()
    work()
    stream_context.stream.synchronize()
    return (time.perf_counter() - start) * 1e3


def repeat(call: Callable[[], Any], seconds: float, minimum: int, longest_seconds: float = math.inf) -> list:
    """Call `call` repeatedly, at least once, and return the list of results.

    The calls end after `seconds`. If there are fewer than `minimum` results by then, the calls continue until there are
    as many, or until `longest_seconds` have passed.
    """
    results: list = []
    begin = now = time.perf_counter()
    while not results or now < begin + seconds or (len(results) < minimum and now < begin + longest_seconds):
        results.append(call())
        now = time.perf_counter()
    return results
