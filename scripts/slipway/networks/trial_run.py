"""Run a network once on a sample of its inputs, before anything is known about its outputs."""

import traceback
from collections.abc import Mapping

import numpy as np
import torch

from slipway.core.errors import SlipwayError
from slipway.networks.answer_structure import require_finite
from slipway.networks.calling import call_of
from slipway.networks.forward_failures import why_it_fails


def try_run(model: torch.nn.Module, sample: Mapping[str, np.ndarray]) -> list[torch.Tensor]:
    """Return all tensors in a network's answer to a sample, also of nested answers.

    Raises SlipwayError if the network fails, or answers with values that are not finite.
    """
    call = call_of(model, list(sample))

    def run(inputs: Mapping[str, np.ndarray]) -> object:
        with torch.inference_mode():
            return call(model, {name: torch.from_numpy(array) for name, array in inputs.items()})

    try:
        leaves, _ = torch.utils._pytree.tree_flatten(run(sample))
    except Exception as error:  # the user's network can raise any exception
        traceback.print_exc()
        raise SlipwayError(why_it_fails(model, dict(sample), error, run)) from None
    outputs = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    for output in outputs:
        require_finite("answer", output)
    return outputs
