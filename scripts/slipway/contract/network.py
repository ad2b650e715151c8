"""A network in the form of its contract: inputs by position and outputs as a tuple, both in the contract's order."""

import numpy as np
import torch

from slipway.contract.contract import BATCH, Contract, Tensor, Tensors
from slipway.core.errors import SlipwayError, explained_by
from slipway.networks.answer_structure import dtype_of, named_outputs, require_finite
from slipway.networks.calling import call_of
from slipway.networks.forward_failures import why_it_fails
from slipway.networks.graph_network import runtime_of

# The dtypes of outputs that the served graph casts to float32.
CAST = (torch.float64, torch.float16, torch.bfloat16)


class ServedNetwork(torch.nn.Module):
    """The user's network with normalised pixels, chosen outputs, and casts to float32.

    A ServedNetwork takes tensors in the order of the contract's inputs, and returns a tuple of tensors in the order of
    the contract's outputs. If the contract has no outputs yet, all outputs of the network are returned. Raises
    SlipwayError if the network does not take the inputs by name.
    """

    def __init__(self, network: torch.nn.Module, contract: Contract) -> None:
        super().__init__()
        self.network = network
        self.inputs = contract.inputs
        self.names = [tensor.name for tensor in contract.outputs] or None
        self.call = call_of(network, [tensor.name for tensor in contract.inputs])
        for index, tensor in enumerate(contract.inputs):
            if tensor.normalisation:
                shape = [1, -1] + [1] * (len(tensor.shape) - 2)
                for statistic in ("mean", "std"):
                    values = torch.tensor(getattr(tensor.normalisation, statistic), dtype=torch.float32)
                    self.register_buffer(f"{statistic}_{index}", values.reshape(shape), persistent=False)
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs in the contract's order. All floating-point outputs are cast to float32."""
        return tuple(map(_served, self.outputs(*inputs).values()))

    def outputs(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {output: tensor} in the network's own dtypes, for inputs in the contract's order."""
        tensors = {tensor.name: self._normalised(index, inputs[index]) for index, tensor in enumerate(self.inputs)}
        return named_outputs(self.call(self.network, tensors), self.names)

    def run(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Return {output: tensor} in the network's own dtypes, for {input: array}, computed on the CPU."""
        with torch.inference_mode():
            return self.outputs(*(tensor_of(inputs[tensor.name]) for tensor in self.inputs))

    def _normalised(self, index: int, values: torch.Tensor) -> torch.Tensor:
        if not self.inputs[index].normalisation:
            return values
        return (values.float() / 255.0 - getattr(self, f"mean_{index}")) / getattr(self, f"std_{index}")


def answers_of(network: ServedNetwork, contract: Contract, inputs: Tensors) -> Tensors:
    """Return {output: array} of PyTorch for a request, computed on the CPU, in the contract's dtypes.

    Raises SlipwayError if the inputs do not fit the contract, or if the network fails. Also raises SlipwayError if an
    output has another dtype or shape than the contract states, or values that are not finite.
    """
    sizes = contract.sizes_of(inputs)
    outputs = outputs_of(network, contract, inputs)
    for tensor in contract.outputs:
        _require_shape(tensor, outputs[tensor.name], sizes)
        if outputs[tensor.name].dtype != tensor.dtype:
            raise SlipwayError(
                f"the output {tensor.name} of the network is {outputs[tensor.name].dtype} for this sample, but "
                f"{tensor.dtype} for others; let the network always return the same dtype"
            )
    return outputs


def outputs_of(network: ServedNetwork, contract: Contract, inputs: Tensors) -> Tensors:
    """Return {output: array} of PyTorch for a request, whatever shapes the outputs have.

    Of the contract, only the inputs are used. Raises SlipwayError if the network fails, or if a value is not finite.
    """
    with explained_by(lambda error: why_it_fails(network.network, inputs, error, network.run, contract.batched)):
        outputs = network.run(inputs)
    for name, values in outputs.items():
        require_finite(f"output {name}", values, runtime_of(network.network))
        _require_finite_in_32_bits(name, values)
    # A parameter that the network returns as it is still has its gradient.
    return {name: _served(values).detach().numpy() for name, values in outputs.items()}


def dtypes_of(network: ServedNetwork, inputs: Tensors) -> dict[str, str]:
    """Return {output: name of the network's own dtype}, before any cast to float32."""
    return {name: dtype_of(values) for name, values in network.run(inputs).items()}


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """Return a copy of an array as a tensor, since a network may change its input in place.

    Raises SlipwayError if PyTorch has no such dtype.
    """
    try:
        return torch.from_numpy(np.array(array, order="C"))
    except TypeError:
        raise SlipwayError(
            f"an input has the dtype {array.dtype}, of which PyTorch makes no tensor; let the samples have numbers "
            "(float32, int64, uint8, bool)"
        ) from None


def _served(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.float32) if values.dtype in CAST else values


def _require_finite_in_32_bits(name: str, values: torch.Tensor) -> None:
    """Raise SlipwayError if a float64 output has numbers that are infinite in float32, in which it is served."""
    if values.dtype == torch.float64 and not torch.isfinite(_served(values)).all():
        raise SlipwayError(
            f"the output {name} of the network has numbers up to {float(values.abs().max()):.1e}, which float32 cannot "
            "hold, and floating-point outputs are served in float32; let the network return smaller numbers, such as "
            "their logarithm"
        )


def _require_shape(tensor: Tensor, values: np.ndarray, sizes: dict[str, int]) -> None:
    """Raise SlipwayError unless `values`, an output of the network, has the shape that the contract states.

    `sizes` is {dynamic axis: its size} of the inputs.
    """
    if tensor.shape[:1] == (BATCH,) and (values.ndim != len(tensor.shape) or len(values) != sizes[BATCH]):
        raise SlipwayError(rows_differ(tensor.name, sizes[BATCH], values.shape))
    if not tensor.fits(values.shape, sizes):
        raise SlipwayError(
            f"the output {tensor.name} of the network has the shape {values.shape} for an input with "
            f"{', '.join(f'{name} {size}' for name, size in sizes.items()) or 'fixed sizes'}, but {tensor.in_words()} "
            "was found with others: its sizes follow from the values of the inputs; let the network return a fixed "
            "number of values"
        )


def rows_differ(name: str, batch: int, shape: tuple[int, ...]) -> str:
    """Return the message of an error: the output `name` has not one row for each sample of a batch.

    `batch` is the number of samples, and `shape` the shape of the output.
    """
    return (
        f"the network answers a batch of {batch} with an output {name} of shape {shape}, not with one row for each "
        "sample; let it keep the batch axis, the first one, as it is, or leave this output out by `outputs` of the "
        "model in config.yaml, or state sizes without `batch` in `inputs`, so that each request is run by itself"
    )
