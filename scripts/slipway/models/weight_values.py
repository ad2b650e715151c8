"""Find weights that are NaN or infinite: some requests may reach them, although the samples do not."""

import torch

from slipway.models.loading import few


def caution_about(model: torch.nn.Module) -> list[str]:
    """Return a list with one sentence that names the weights with NaN or infinities; [] if there are no such weights.

    Infinities in buffers are allowed, because masks of attention have them.
    """
    invalid = [name for name, values in model.named_parameters() if not torch.isfinite(values).all()]
    invalid += [name for name, values in model.named_buffers() if torch.isnan(values).any()]
    if not invalid:
        return []
    return [
        f"CAUTION: {few(invalid)} of the network's weights have NaN or infinities. A request that reaches them gets "
        "NaN, although the samples do not show it; take a checkpoint from before the training diverged"
    ]
