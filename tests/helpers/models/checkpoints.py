"""Weights of a small network in the forms of training programs, and how loading them ends."""

import pytest
import torch

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of
from slipway.models.choosing import load_checkpoint

ARCHITECTURE, ARGUMENTS = "squeezenet1_1", {"num_classes": 3}


def seeded(seed, architecture=ARCHITECTURE, arguments=ARGUMENTS):
    """Return a state dict with seeded random weights."""
    torch.manual_seed(seed)
    return build(architecture, arguments).state_dict()


def below(prefix, state):
    """Return a state dict whose names begin with a prefix."""
    return {prefix + name: tensor for name, tensor in state.items()}


def assert_loaded(model, expected):
    """Require that a network has exactly these weights."""
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def refusal(model, saved, weights_key=None):
    """Return the sentence with which a saved object is refused."""
    with pytest.raises(SlipwayError) as caught:
        load_checkpoint(model, content_of(saved), "weights.pth", weights_key)
    message = str(caught.value)
    assert "weights.pth" in message
    assert "\n" not in message
    return message
