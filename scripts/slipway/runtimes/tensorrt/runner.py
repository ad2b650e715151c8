"""Run an engine on {input: array}, with buffers that are allocated once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .batching import Shapes, Tensors, joined_shapes, split
from .buffers import StreamContext
from .device import captured, open_device, why_no_graphs
from .inspector import is_batched, profiles_of, tensors_of
from .library import edition_of, import_library, load, logger

# Each graph takes memory on the GPU, and inputs of dynamic sizes would have one for every combination of sizes.
MOST_GRAPHS = 512


class Engine:
    """An engine on this process's GPU, with page-locked input buffers and a CUDA graph for each set of input sizes."""

    def __init__(self, path: str | Path, precision: str = "", threads: int = 0, device: Any = None) -> None:
        """Load the engine at `path`. `precision` and `threads` are not used: the plan fixes the precision.

        Without a `device`, the engine opens this machine's GPU. Raises ValueError if TensorRT cannot load the engine.
        """
        trt = import_library(edition_of(path))
        self.device = device or open_device()
        self._path = path
        plan = Path(path).read_bytes()
        self.plan_bytes = len(plan)
        self._runtime, self.cuda_engine = load(trt, logger(trt), plan, path)
        self.profiles = profiles_of(self.cuda_engine)
        self.max_batch = max(sizes["max"] for sizes in self.profiles)
        self._inputs = self.tensors()["inputs"]
        self._batched = is_batched(self.cuda_engine)
        self._stream_contexts: dict[int, StreamContext] = {}
        self._runs: dict[tuple, Callable[[], None]] = {}  # {sizes of the inputs: function for all runs after the first}
        self._graphs_possible = why_no_graphs() is None
        self._copies: list[Engine] = []

    def tensors(self) -> dict[str, list[dict]]:
        """Return {"inputs": [...], "outputs": [...]}, lists of {"name", "dtype" (NumPy's), "shape" (-1: dynamic)}."""
        return tensors_of(self.cuda_engine)

    def infer(self, inputs: Tensors) -> Tensors:
        """Return {output: array} for {input: array}. A batch that is too large for the engine is run in parts.

        Raises ValueError if the request does not fit the engine.
        """
        parts = [inputs]
        if self.batch_of(self.shapes_of(parts)) > self.max_batch:
            parts = split(inputs, self.max_batch)
        outputs = [{name: array.copy() for name, array in self.infer_all([part]).items()} for part in parts]
        if len(outputs) == 1:
            return outputs[0]
        return {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}

    def infer_all(self, requests: Sequence[Tensors]) -> Tensors:
        """Run requests, each {input: array}, as one batch. Return {output: array}, joined along axis 0 in their order.

        The outputs are views of the engine's buffers, so that nothing is allocated. They are valid until the next call.
        Raises ValueError if the requests do not fit the engine or each other.
        """
        shapes = self.shapes_of(requests)
        stream_context = self.stream_context(self.profile_for(self.batch_of(shapes)))
        stream_context.set_shapes(shapes)
        stream_context.write(requests)
        self._run(stream_context, tuple(shapes.values()))
        return {name: buffer.host for name, buffer in stream_context.outputs.items()}

    def shapes_of(self, requests: Sequence[Tensors]) -> Shapes:
        """Return {input: shape} of the joined requests. Raise ValueError if the requests do not fit."""
        return joined_shapes(self._inputs, requests, self._batched)

    def batch_of(self, shapes: Shapes) -> int:
        """Return the batch size in {input: shape}; 1 without a batch axis."""
        return next(iter(shapes.values()))[0] if self._batched else 1

    def profile_for(self, batch: int) -> int:
        """Return the index of the profile for a batch size: of all that accept it, the one with the nearest optimum.

        Raises ValueError if no profile accepts the size.
        """
        return self.profiles_for(batch)[0]

    def profiles_for(self, batch: int) -> list[int]:
        """Return the indices of all profiles that accept a batch size, the profile with the nearest optimum first.

        Raises ValueError if no profile accepts the size.
        """
        fits = [index for index, sizes in enumerate(self.profiles) if sizes["min"] <= batch <= sizes["max"]]
        if not fits:
            raise ValueError(f"no optimization profile of the engine takes batch size {batch}: {self.profiles}")
        return sorted(fits, key=lambda index: abs(self.profiles[index]["opt"] - batch))

    def stream_context(self, profile: int) -> StreamContext:
        """Return the stream context of a profile. The context is made at the first call."""
        if profile not in self._stream_contexts:
            self._stream_contexts[profile] = StreamContext(self.cuda_engine, profile, self.device)
        return self._stream_contexts[profile]

    def copies_for_streams(self, count: int) -> list["Engine"]:
        """Return `count` engines, one for each CUDA stream: this engine, and copies that are loaded from its file.

        Copies are needed before TensorRT 8.6, where two contexts of one engine cannot share an optimization profile.
        They are kept for later calls, because a device frees their buffers only when it closes.
        """
        while len(self._copies) < count - 1:
            self._copies.append(Engine(self._path, device=self.device))
        return [self, *self._copies[: count - 1]]

    def _run(self, stream_context: StreamContext, sizes: tuple) -> None:
        """Run the engine on inputs of these sizes.

        The first run of these sizes is direct, and is then captured as a CUDA graph. Later runs launch the graph.
        """
        self._runs.get(sizes, stream_context.transfer_and_run)()
        stream_context.stream.synchronize()
        if not self._graphs_possible or sizes in self._runs or len(self._runs) >= MOST_GRAPHS:
            return
        try:
            self._runs[sizes] = captured(stream_context.stream, stream_context.transfer_and_run)
        except ValueError as error:  # a layer needs the host during the run, so the engine runs without a graph
            print(f"TensorRT: no CUDA graph: {error}")
            self._runs[sizes] = stream_context.transfer_and_run
