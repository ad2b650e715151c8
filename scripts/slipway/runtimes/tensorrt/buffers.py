"""The state of one optimization profile in use: an execution context, its stream, its host and GPU buffers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .batching import Shapes, Tensors
from .inspector import is_batched, profile_shapes, tensors_of


class Buffer:
    """The memory of one tensor: page-locked memory on the host, and memory on the GPU.

    Both memories have the largest size of the tensor, and keep their addresses.
    """

    def __init__(self, device: Any, dtype: str, largest: Sequence[int]) -> None:
        self._dtype = np.dtype(dtype)
        self.nbytes = self._bytes_of(largest)
        nbytes = max(1, self.nbytes)
        self._memory, self.address = device.pinned(nbytes), device.allocate(nbytes)
        self._memory[:] = 0
        self.set_shape(largest)

    def set_shape(self, shape: Sequence[int]) -> None:
        """Make `host` an array of this shape. Raise ValueError if the shape is larger than the memory."""
        nbytes = self._bytes_of(shape)
        if nbytes > self.nbytes:
            raise ValueError(
                f"a tensor {tuple(shape)} is larger than at the largest input of the profile; TensorRT's engines are "
                "run only where no output shrinks as the inputs grow"
            )
        self.host = self._memory[:nbytes].view(self._dtype).reshape(shape)

    def _bytes_of(self, shape: Sequence[int]) -> int:
        return int(np.prod(shape, dtype=np.int64)) * self._dtype.itemsize


class StreamContext:
    """An execution context for one optimization profile, with its stream and its buffers.

    `inputs` and `outputs` are {tensor: its buffer}. The buffers never move, so upload, inference and download of
    tensors of the same sizes can be captured as one CUDA graph.
    """

    def __init__(self, engine: Any, profile: int, device: Any) -> None:
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
        tensors = tensors_of(engine)
        self._profile = profile_shapes(engine, profile)
        self._batched = is_batched(engine)
        self._output_names = [tensor["name"] for tensor in tensors["outputs"]]
        self._shapes: Shapes = {}
        largest = {name: ends["max"] for name, ends in self._profile.items()}
        self.inputs = self._buffers(tensors["inputs"], largest)
        self.outputs = self._buffers(tensors["outputs"], self._output_shapes(largest))
        self.buffer_bytes = sum(buffer.nbytes for buffer in (*self.inputs.values(), *self.outputs.values()))

    def _buffers(self, tensors: Sequence[dict], largest: Shapes) -> dict[str, Buffer]:
        buffers = {tensor["name"]: Buffer(self.device, tensor["dtype"], largest[tensor["name"]]) for tensor in tensors}
        for name, buffer in buffers.items():
            self.context.set_tensor_address(name, buffer.address)
        return buffers

    def optimum(self, batch: int) -> Shapes:
        """Return {input: the shape for which the profile is tuned}. If there is a batch axis, its size is `batch`."""
        return {
            name: (batch, *ends["opt"][1:]) if self._batched else ends["opt"] for name, ends in self._profile.items()
        }

    def set_shapes(self, shapes: Shapes) -> None:
        """Set the shapes of the inputs and outputs. Raise ValueError if the profile does not accept the inputs."""
        if shapes == self._shapes:
            return
        self._shapes = {}
        all_shapes = {**shapes, **self._output_shapes(shapes)}
        for name, buffer in (*self.inputs.items(), *self.outputs.items()):
            buffer.set_shape(all_shapes[name])
        self._shapes = shapes

    def _output_shapes(self, shapes: Shapes) -> Shapes:
        """Set the shapes of the context's inputs, {input: shape}. Return {output: shape}.

        Raises ValueError if the profile does not accept an input, or if the size of an output depends on the inputs'
        values.
        """
        for name, shape in shapes.items():
            if not self.context.set_input_shape(name, shape):
                ends = self._profile[name]
                raise ValueError(
                    f"the engine's optimization profile takes {name} from {ends['min']} to {ends['max']}, not {shape}"
                )
        output_shapes = {name: tuple(self.context.get_tensor_shape(name)) for name in self._output_names}
        for name, shape in output_shapes.items():
            if -1 in shape:
                raise ValueError(
                    f"the size of the output {name} follows from the values of the inputs, not from their sizes, as "
                    "NonZero and NonMaxSuppression give it; end the served network before this step, and let the "
                    "client do it, or let the network fill up its output to a fixed size"
                )
        return output_shapes

    def write(self, requests: Sequence[Tensors]) -> None:
        """Join requests along axis 0, and copy them into the host's input buffers. Call `set_shapes` first."""
        for name, buffer in self.inputs.items():
            if len(requests) == 1:  # of any rank, also 0
                np.copyto(buffer.host, requests[0][name], casting="same_kind")
            else:
                np.concatenate([request[name] for request in requests], out=buffer.host, casting="same_kind")

    def upload(self) -> None:
        """Start to copy the inputs from the host to the GPU, and do not wait."""
        for buffer in self.inputs.values():
            self.device.upload(buffer.address, buffer.host, self.stream)

    def enqueue(self) -> None:
        """Start the engine on the inputs in GPU memory, and do not wait. Raise ValueError if TensorRT refuses."""
        if not self.context.execute_async_v3(self.stream.handle):
            raise ValueError("TensorRT could not enqueue the batch; its log says why")

    def download(self) -> None:
        """Start to copy the outputs from the GPU to the host, and do not wait."""
        for buffer in self.outputs.values():
            self.device.download(buffer.host, buffer.address, self.stream)

    def transfer_and_run(self) -> None:
        """Start upload, engine and download in this order, and do not wait."""
        self.upload()
        self.enqueue()
        self.download()
