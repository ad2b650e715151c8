"""Run a network once on a sample of its inputs, before anything is known about its outputs."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from slipway.core.errors import explained_by
from slipway.networks.answer_structure import require_finite, tensors_in
from slipway.networks.calling import call_of
from slipway.networks.forward_failures import why_it_fails


def try_run(model: torch.nn.Module, sample: Mapping[str, np.ndarray]) -> list[torch.Tensor]:
    """Return all tensors in a network's answer to a sample, also of nested answers.

    Raises SlipwayError if the network fails, or answers with values that are not finite.
    """
    run = partial(call_of(model, list(sample)).on_arrays, model)
    with explained_by(lambda error: why_it_fails(model, dict(sample), error, run)):
        outputs = tensors_in(run(sample))
    for output in outputs:
        require_finite("answer", output)
    return outputs
