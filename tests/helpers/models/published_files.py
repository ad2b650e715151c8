"""State dicts as torchvision publishes them, for where its files cannot be downloaded."""

import re

import torch

from fetch_weights import fill_zero_weights
from slipway.models.architectures import build

# What the published files of some networks call their tensors: they are older than today's names.
_OLDER_NAMES = {
    "DenseNet": ((r"(denselayer\d+\.(?:norm|relu|conv))([12]\.)", r"\1.\2"),),
    "VisionTransformer": ((r"\.mlp\.0\.", ".mlp.linear_1."), (r"\.mlp\.3\.", ".mlp.linear_2.")),
}


def seeded_network(architecture, arguments, seed=1, pixels=None):
    """Return a network with seeded random weights that answers each picture otherwise.

    With `pixels` its batch normalisation has the statistics of pictures of that size, as after a training. Without
    them the answers of a deep network, such as Inception v3, may all be equal.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, arguments)
        fill_zero_weights(network)
        if pixels is not None:
            _measure_statistics(network, torch.randn(4, 3, pixels, pixels))
    return network


def _measure_statistics(network, pictures):
    """Let each batch normalisation of a network take the mean and variance of its input over pictures (N, 3, H, W)."""
    layers = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over all batches
        layer.train()
    with torch.inference_mode():
        network(pictures)
    for layer in layers:
        layer.momentum = 0.1
        layer.eval()


def as_published(network):
    """Return a network's state dict in older names, without the modules' versions and without counters."""
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    for pattern, older in _OLDER_NAMES.get(type(network).__name__, ()):
        state = {re.sub(pattern, older, name): tensor for name, tensor in state.items()}
    return state
