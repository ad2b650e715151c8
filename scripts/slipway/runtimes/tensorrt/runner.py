"""Run an engine: buffers are allocated once, and each optimization profile has an execution context."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .device import Graph, open_device, why_no_graphs
from .inspector import count_by_precision, engine_layers, profiles_of, tensors_of
from .library import edition_of, import_library, load, logger


class StreamContext:
    """One optimization profile in use: its execution context, its stream, its buffers on host and GPU.

    `host_input` (max batch, ...) and `host_output` (max batch, classes) are page-locked and never move, so upload,
    inference and download of a batch size can be captured as one CUDA graph.
    """

    def __init__(self, trt: ModuleType, engine: Any, profile: int, device: Any) -> None:
        self.sizes = profiles_of(trt, engine)[profile]
        self.device = device
        self.stream = device.stream()
        self.events = (device.event(), device.event())
        self.context = engine.create_execution_context()
        if self.context is None:
            raise ValueError(
                "the GPU has too little free memory for an execution context; stop other programs that use it"
            )
        if profile and not self.context.set_optimization_profile_async(profile, self.stream.handle):
            raise ValueError(f"TensorRT refuses optimization profile {profile}")
        self.stream.synchronize()
        self._input, self.host_input, self.input_address = self._buffers(trt, engine, "INPUT")
        self._output, self.host_output, self.output_address = self._buffers(trt, engine, "OUTPUT")
        self.buffer_bytes = self.host_input.nbytes + self.host_output.nbytes
        self._batch = 0

    def _buffers(self, trt: ModuleType, engine: Any, mode: str) -> tuple[str, np.ndarray, int]:
        (tensor,) = [candidate for candidate in tensors_of(trt, engine) if candidate["mode"] == mode]
        host = self.device.pinned((self.sizes["max"], *tensor["shape"][1:]), np.dtype(tensor["dtype"]))
        host[:] = 0
        address = self.device.allocate(host.nbytes)
        self.context.set_tensor_address(tensor["name"], address)
        return tensor["name"], host, address

    def require_fit(self, batch: np.ndarray) -> None:
        """Raise ValueError unless a batch has the engine's input dtype and size: NumPy would cast and repeat it."""
        expected = self.host_input
        if batch.dtype != expected.dtype or batch.shape[1:] != expected.shape[1:]:
            sizes = ", ".join(map(str, expected.shape[1:]))
            raise ValueError(f"the engine takes {expected.dtype} (N, {sizes}), not {batch.dtype} {batch.shape}")

    def set_batch(self, batch: int) -> None:
        """Prepare the context for batches of this size. Raise ValueError if the profile does not accept it."""
        if batch != self._batch:
            if not self.context.set_input_shape(self._input, (batch, *self.host_input.shape[1:])):
                raise ValueError(f"the engine's optimization profile {self.sizes} has no batch size {batch}")
            self._batch = batch

    def upload(self) -> None:
        """Copy the batch to the GPU, asynchronously."""
        self.device.upload(self.input_address, self.host_input[: self._batch], self.stream)

    def enqueue(self) -> None:
        """Run the engine on the input in GPU memory, asynchronously. Raise ValueError if TensorRT refuses."""
        if not self.context.execute_async_v3(self.stream.handle):
            raise ValueError("TensorRT could not enqueue the batch; its log says why")

    def download(self) -> None:
        """Copy the logits to the host, asynchronously."""
        self.device.download(self.host_output[: self._batch], self.output_address, self.stream)

    def transfer_and_run(self) -> None:
        """Upload, run, download, asynchronously."""
        self.upload()
        self.enqueue()
        self.download()


class Engine:
    """An engine on this process's GPU, fed from page-locked memory, with a CUDA graph for each used batch size."""

    def __init__(self, path: str | Path, precision: str, threads: int = 0, device: Any = None) -> None:
        """Load the engine at `path`. `precision` and `threads` are not used: the plan fixes the precision."""
        self.trt = import_library(edition_of(path))
        self.device = device or open_device()
        self._path, self._precision = path, precision
        self._log = logger(self.trt)
        plan = Path(path).read_bytes()
        self.plan_bytes = len(plan)
        self._runtime, self.cuda_engine = load(self.trt, self._log, plan, path)
        self.profiles = profiles_of(self.trt, self.cuda_engine)
        self.max_batch = max(sizes["max"] for sizes in self.profiles)
        self._stream_contexts: dict[int, StreamContext] = {}
        self._runs: dict[int, Callable[[], None]] = {}  # {batch size: how it runs from the second time on}
        self._graphs_possible = why_no_graphs() is None
        self._twins: list[Engine] = []

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Return the float32 logits (N, classes) of a batch (N, 3, H, W). A batch larger than the engine's is split."""
        parts = [batch[start : start + self.max_batch] for start in range(0, len(batch), self.max_batch)]
        return np.concatenate([self.infer_all([part]).copy() for part in parts])

    def infer_all(self, batches: list[np.ndarray]) -> np.ndarray:
        """Return the logits of several batches, run as one, in order. Each batch has the engine's input dtype.

        The result is a view of the engine's own buffer, valid until the next call: nothing is allocated here.
        """
        total = sum(map(len, batches))
        stream_context = self.stream_context(self.profile_for(total))
        start = 0
        for batch in batches:
            stream_context.require_fit(batch)
            stream_context.host_input[start : start + len(batch)] = batch
            start += len(batch)
        stream_context.set_batch(total)
        self._run(stream_context, total)
        return stream_context.host_output[:total]

    def profile_for(self, batch: int) -> int:
        """Return the index of the profile for a batch size: the one with the nearest optimum that accepts the size.

        Raises ValueError if no profile accepts the size.
        """
        fits = [index for index, sizes in enumerate(self.profiles) if sizes["min"] <= batch <= sizes["max"]]
        if not fits:
            raise ValueError(f"no optimization profile of the engine takes batch size {batch}: {self.profiles}")
        return min(fits, key=lambda index: abs(self.profiles[index]["opt"] - batch))

    def stream_context(self, profile: int) -> StreamContext:
        """Return the stream context of a profile. It is made at the first call."""
        if profile not in self._stream_contexts:
            self._stream_contexts[profile] = StreamContext(self.trt, self.cuda_engine, profile, self.device)
        return self._stream_contexts[profile]

    def for_streams(self, count: int) -> list["Engine"]:
        """Return this engine, and the same loaded again for each further stream.

        Before TensorRT 8.6 two contexts of one engine cannot share an optimization profile. The twins are kept, because
        a device frees their buffers only when it closes.
        """
        while len(self._twins) < count - 1:
            self._twins.append(Engine(self._path, self._precision, device=self.device))
        return [self, *self._twins[: count - 1]]

    def layers(self) -> dict[str, int]:
        """Count the compute layers by the precision that the engine reports for each."""
        return count_by_precision(engine_layers(self.trt, self.cuda_engine))

    def _run(self, stream_context: StreamContext, batch: int) -> None:
        """Run a batch size directly the first time, then capture a CUDA graph, and launch the graph from then on."""
        self._runs.get(batch, stream_context.transfer_and_run)()
        stream_context.stream.synchronize()
        if batch not in self._runs:
            self._runs[batch] = self._captured(stream_context)

    def _captured(self, stream_context: StreamContext) -> Callable[[], None]:
        """Return the launch of a CUDA graph, or the run without one."""
        if self._graphs_possible:
            try:
                return Graph(stream_context.stream, stream_context.transfer_and_run).launch
            except ValueError as error:  # a layer needs the host meanwhile, so the engine runs without a graph
                print(f"TensorRT: no CUDA graph: {error}")
        return stream_context.transfer_and_run
