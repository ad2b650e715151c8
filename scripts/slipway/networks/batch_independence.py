"""Check in PyTorch that a network's answer to a sample is repeatable and independent of the rest of its batch."""

import contextlib
import copy
import inspect

import numpy as np
import torch

from slipway.benchmark.batch_independence import (
    BATCHES,
    IN_32_BITS,
    IN_FEWER_BITS,
    Tolerance,
    apart,
    batch_distances,
    dependence,
)
from slipway.benchmark.batch_neighbours import batch_neighbours
from slipway.contract.batches import joined
from slipway.contract.contract import Contract, Tensors
from slipway.contract.network import ServedNetwork, answers_of
from slipway.core.errors import SlipwayError, listed
from slipway.networks.first_difference import Difference, first_difference
from slipway.networks.graph_network import GraphNetwork
from slipway.networks.user_code import shown

# The allowed distance of two runs on the same sample, relative to the answer's norm. Both runs use the same kernels.
_REPEATED = 1e-5
# The batch sizes of the engines' checks and a larger size, since some networks treat large batches differently.
_BATCHES = (*BATCHES, (4, 3, 2, 1, 0, 1, 2, 3, 4))
# Answers computed in 64 bits are equal up to this distance, relative to the answer's norm: the outputs have 32 bits.
_EQUAL_IN_64_BITS = 1e-5


def require_batch_independence(network: ServedNetwork, contract: Contract, samples: list[Tensors]) -> dict:
    """Raise SlipwayError if the network's answers in PyTorch are random, or depend on the other samples of their batch.

    Triton puts requests of several clients into one batch, so such a network gives wrong answers. The message names the
    module where the difference begins. Returns the dict of `batch_distances`: how far a sample's answer alone is from
    its answers in batches of several sizes, and beside other samples or padding.

    Two jobs call this function, because each may run without the other. `preflight`, the test without a GPU, exports
    the network but makes no reference outputs. After new samples, only the reference outputs are made again.
    """
    _require_repeatable(network, contract, samples[0])
    tolerance = _tolerance(network)
    distances = batch_distances(
        lambda inputs: answers_of(network, contract, inputs), contract, samples, batches=_BATCHES
    )
    if problem := dependence({**distances, "by_padding": None}, tolerance):
        if distances["by_neighbours"] <= tolerance.by_neighbours and _is_rounding(network, contract, samples):
            raise SlipwayError(
                f"the network makes {distances['by_size']:.2g} of the norm of its answer from rounding errors: its "
                "answers to a sample in batches of several sizes are so far apart, and equal if computed in 64 bits. "
                "No engine could be compared with it; give trained weights, and inputs normalised as in training"
            )
        if isinstance(network.network, GraphNetwork):
            raise SlipwayError(
                f"{network.network.title} cannot be served in batches, since {problem}, and Triton puts the requests "
                f"of several clients into one batch; it is so in {network.network.runtime}: export it so that it "
                "computes over the axes of one sample only, or state shapes without `batch` in `inputs` of the model "
                "in config.yaml, so that each request is run by itself"
            )
        batch = joined([*batch_neighbours(contract, samples), samples[0]])
        begins = first_difference(network, samples[0], batch, tolerance.by_neighbours)
        raise SlipwayError(
            f"the network cannot be served in batches, since {problem}, and Triton puts the requests of several "
            f"clients into one batch; it is so in PyTorch{_where(begins)}{_what_to_do(begins)}"
        )
    if problem := dependence(distances, tolerance):
        raise SlipwayError(f"the network cannot be served in batches of several sizes, since {problem}")
    return distances


def _is_rounding(network: ServedNetwork, contract: Contract, samples: list[Tensors]) -> bool:
    """Return whether rounding alone makes answers depend on the batch size: in 64 bits, they do not.

    If the network cannot compute in 64 bits, return False.
    """

    def answer(inputs: Tensors) -> Tensors:
        wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in inputs.items()}
        return {name: values.numpy() for name, values in exact.run(wide).items()}

    with contextlib.suppress(Exception):  # the user's code may take 32 bits alone
        exact = copy.deepcopy(network).double()
        return batch_distances(answer, contract, samples, batches=_BATCHES)["by_size"] <= _EQUAL_IN_64_BITS
    return False


def _require_repeatable(network: ServedNetwork, contract: Contract, sample: Tensors) -> None:
    first = answers_of(network, contract, sample)
    buffers = {
        name: buffer.clone()
        for name, buffer in network.network.named_buffers()
        # Batch normalisation in train mode shows in the check with neighbours, which names its module.
        if buffer.is_floating_point() and not name.endswith(("running_mean", "running_var"))
    }
    again = answers_of(network, contract, sample)
    _require_unchanged(buffers, network.network)
    allowed = min(_REPEATED, _tolerance(network).by_neighbours)
    distances = {name: apart(first[name], again[name]) for name in first}
    name = max(distances, key=distances.__getitem__)
    if distances[name] <= allowed:
        return
    distance = f"{distances[name]:.2g} of the norm of {name} apart"
    problem = f"two runs of the network answer the same sample differently ({distance})"
    if isinstance(network.network, GraphNetwork):
        raise SlipwayError(f"{problem}: {network.network.title} draws random numbers; export it without them")
    left_on = [
        f"{name or 'the network'} ({type(module).__name__})"
        for name, module in network.network.named_modules()
        if module.training and "drop" in type(module).__name__.lower()
    ]
    if left_on:
        raise SlipwayError(
            f"{problem}: dropout is still in train mode in {listed(left_on, 4)} after model.eval(); let the network "
            "leave it off in eval mode (a `train` method or a `.train()` in its code puts it on), or have the factory "
            "leave it out"
        )
    begins = first_difference(network, sample, sample, allowed)
    raise SlipwayError(
        f"{problem}: it draws random numbers, or remembers earlier requests, in eval mode too{_where(begins)}; let it "
        "do so only `if self.training`, such as F.dropout(x, p, self.training)"
    )


def _require_unchanged(buffers: dict[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Raise SlipwayError if a run changed a buffer, such as a running average, by any amount.

    `buffers` is {name: copy of the buffer before the run}.
    """
    now = dict(model.named_buffers())
    changed = [name for name in buffers if name in now and not torch.equal(buffers[name], now[name])]
    if changed:
        raise SlipwayError(
            f"the network remembers earlier requests in eval mode: each run changes its buffers {listed(changed, 4)}, "
            "so answers depend on them; let it change them only `if self.training`, and switch "
            "the observers of quantization-aware training off (torch.ao.quantization.disable_observer)"
        )


def _tolerance(model: torch.nn.Module) -> Tolerance:
    half = (torch.float16, torch.bfloat16)
    return IN_FEWER_BITS if any(weight.dtype in half for weight in model.state_dict().values()) else IN_32_BITS


def _where(begins: Difference | None) -> str:
    if begins is None:
        return ""
    of_class = f"{type(begins.module).__name__}{_file_of(begins.module)}"
    place = f"`{begins.name}` ({of_class})" if begins.name else f"the network's own forward ({of_class})"
    return f", beginning in {place}" + (f", before `{begins.before}`" if begins.before else "")


def _what_to_do(begins: Difference | None) -> str:
    module = begins.module if begins else None
    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        reason = "it has no running statistics (track_running_stats=False)"
        if module.running_mean is not None:
            reason = "it is in train mode after model.eval()"
        return (
            f", which normalises over the batch, since {reason}; train with running statistics and leave it in eval "
            "mode, or take GroupNorm or LayerNorm"
        )
    return (
        "; let it compute over the axes of one sample only, never over axis 0 (mean, softmax, sort, normalisation), "
        "or by statistics that were kept in training"
    )


def _file_of(module: torch.nn.Module) -> str:
    """Return ", file:line" of the module's `forward` if its code is the user's, else ""."""
    kind = type(module)
    if kind.__module__.split(".")[0] in ("torch", "slipway"):
        return ""
    try:
        return f", {shown(inspect.getfile(kind))}:{inspect.getsourcelines(kind.forward)[1]}"
    except (OSError, TypeError):
        return ""
