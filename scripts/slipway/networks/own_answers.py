"""Check in PyTorch that a network's answer to a picture is repeatable and independent of the rest of its batch."""

import inspect

import numpy as np
import torch

from slipway.benchmark.company import BATCHES, IN_32_BITS, IN_FEWER_BITS, Tolerance, dependence, in_company
from slipway.benchmark.strangers import strangers
from slipway.classification.picture_contract import picture_contract
from slipway.core.errors import SlipwayError, listed
from slipway.networks.first_difference import Difference, first_difference
from slipway.networks.model_inputs import logits_of
from slipway.networks.user_code import shown
from slipway.onnx.tensor_names import INPUT, OUTPUT

# The allowed distance of two runs on the same picture, relative to the answer's norm: both use the same kernels.
_REPEATED = 1e-5
# A batch larger than the batches of the engines' checks, since some networks treat large batches differently.
_LARGE = (4, 3, 2, 1, 0, 1, 2, 3, 4)


def require_own_answers(model: torch.nn.Module, sample: np.ndarray) -> dict:
    """Return the distances of a network's answers to a sample (1, 3, H, W) between batches with different neighbours.

    See slipway.benchmark.company.in_company. Raises SlipwayError if the answers are random or depend on a picture's
    neighbours. The message names the module where the difference begins.
    """
    _require_repeatable(model, sample)
    contract, samples = picture_contract(sample.dtype), [{INPUT: sample}]
    answer = lambda inputs: {OUTPUT: logits_of(model, inputs[INPUT])}  # noqa: E731
    distances = in_company(answer, contract, samples, batches=(*BATCHES, _LARGE))
    if problem := dependence(distances, _tolerance(model)):
        batch = np.concatenate([*(each[INPUT] for each in strangers(contract, samples)), sample])
        begins = first_difference(model, sample, batch, _tolerance(model).by_company)
        raise SlipwayError(
            f"the network cannot be served in batches, since {problem}, and Triton puts the requests of strangers into "
            f"one batch; it is so in PyTorch{_where(begins)}{_what_to_do(begins)}"
        )
    return distances


def _require_repeatable(model: torch.nn.Module, sample: np.ndarray) -> None:
    first = logits_of(model, sample).astype(np.float64)
    buffers = {
        name: buffer.clone()
        for name, buffer in model.named_buffers()
        # Batch normalisation in train mode shows in the check with neighbours, which names its module.
        if buffer.is_floating_point() and not name.endswith(("running_mean", "running_var"))
    }
    again = logits_of(model, sample).astype(np.float64)
    _require_unchanged(buffers, model)
    allowed = min(_REPEATED, _tolerance(model).by_company)
    if first.shape == again.shape and np.linalg.norm(first - again) <= allowed * np.linalg.norm(first):
        return
    apart = np.linalg.norm(first - again) / max(np.linalg.norm(first), np.finfo(float).tiny)
    problem = f"two runs of the network answer the same picture differently ({apart:.2g} of the logits' norm apart)"
    left_on = [
        f"{name or 'the network'} ({type(module).__name__})"
        for name, module in model.named_modules()
        if module.training and "drop" in type(module).__name__.lower()
    ]
    if left_on:
        raise SlipwayError(
            f"{problem}: dropout is still in train mode in {listed(left_on, 4)} after model.eval(); let the network "
            "leave it off in eval mode (a `train` method or a `.train()` in its code puts it on), or have the factory "
            "leave it out"
        )
    begins = first_difference(model, sample, sample, allowed)
    raise SlipwayError(
        f"{problem}: it draws random numbers, or remembers earlier pictures, in eval mode too{_where(begins)}; let it "
        "do so only `if self.training`, such as F.dropout(x, p, self.training)"
    )


def _require_unchanged(buffers: dict[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Raise SlipwayError if a run changed a buffer, such as a running average, by any amount."""
    now = dict(model.named_buffers())
    changed = [name for name in buffers if name in now and not torch.equal(buffers[name], now[name])]
    if changed:
        raise SlipwayError(
            f"the network remembers earlier pictures in eval mode: each run changes its buffers {listed(changed, 4)}, "
            "so answers depend on earlier requests; let it change them only `if self.training`, and switch "
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
        "; let it compute over the axes of one picture only, never over axis 0 (mean, softmax, sort, normalisation), "
        "or by statistics that were kept in training"
    )


def _file_of(module: torch.nn.Module) -> str:
    """Return the file and line of a class in the user's code; "" for PyTorch's own classes."""
    kind = type(module)
    if kind.__module__.split(".")[0] in ("torch", "slipway"):
        return ""
    try:
        return f", {shown(inspect.getsourcefile(kind))}:{inspect.getsourcelines(kind.forward)[1]}"
    except (OSError, TypeError):
        return ""
