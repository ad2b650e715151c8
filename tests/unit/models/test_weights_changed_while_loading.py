"""Modules may rename, share or make weights while they load: older versions, ties, auxiliary heads, buffers."""

import pytest
import torch
import torchvision
from helpers.models.checkpoints import assert_loaded, below, refusal
from helpers.models.published_files import as_published, seeded_network

from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of
from slipway.models.choosing import load_checkpoint

SMALL_VIT = {"image_size": 32, "patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
SMALL_DENSENET = {"growth_rate": 4, "block_config": [2, 2], "num_init_features": 8}


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("torchvision.models:DenseNet", SMALL_DENSENET),
        ("torchvision.models:VisionTransformer", SMALL_VIT),
        ("mnasnet0_5", {}),
        ("mnasnet1_0", {}),
        ("shufflenet_v2_x0_5", {}),
    ],
)
def test_older_names_and_versions_are_read(architecture, arguments):
    network = seeded_network(architecture, arguments)
    saved = as_published(network)
    assert not hasattr(saved, "_metadata")
    model = build(architecture, arguments)
    load_checkpoint(model, content_of({"state_dict": below("module.", saved)}), "weights.pth")
    assert_loaded(model, network.state_dict())


def first_mnasnet():
    """Return an MNASNet 0.5 as torchvision's first version made it, whose first layers are wider."""
    torch.manual_seed(6)
    second, first = build("mnasnet0_5"), build("mnasnet0_5")
    state = second.state_dict()
    state._metadata[""]["version"] = 1
    with pytest.warns(UserWarning, match="previous version"), pytest.raises(RuntimeError, match="size mismatch"):
        first.load_state_dict(state)
    return first.eval()


@pytest.mark.parametrize("with_versions", [True, False])
def test_the_first_version_of_a_network_is_read_as_that(with_versions):
    state = first_mnasnet().state_dict()
    model = build("mnasnet0_5")
    load_checkpoint(model, content_of(state if with_versions else dict(state)), "weights.pth")
    assert_loaded(model, state)
    assert model.state_dict()._metadata[""]["version"] == 1


@pytest.mark.parametrize("aux_logits", [True, False])
def test_auxiliary_heads_may_be_in_the_file_or_not(aux_logits):
    arguments = {"init_weights": False, "num_classes": 3}
    torch.manual_seed(5)
    whole = torchvision.models.googlenet(weights=None, aux_logits=aux_logits, **arguments)
    model = build("googlenet", arguments)
    load_checkpoint(model, content_of(whole.state_dict()), "weights.pth")
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model(images), whole.eval()(images))


class Tied(torch.nn.Module):
    """Two layers that share one weight, and a buffer that no state dict has."""

    def __init__(self):
        super().__init__()
        self.encode = torch.nn.Linear(4, 4, bias=False)
        self.decode = torch.nn.Linear(4, 4, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("positions", torch.arange(4.0), persistent=False)


TIED = "encode.weight", "decode.weight"


@pytest.mark.parametrize("kept", [TIED, TIED[:1], TIED[1:]])
def test_a_shared_weight_may_be_saved_once_or_twice(kept):
    weight, model = torch.rand(4, 4), Tied()
    load_checkpoint(model, content_of(dict.fromkeys(kept, weight)), "weights.pth")
    assert torch.equal(model.encode.weight, weight)
    assert model.decode.weight is model.encode.weight


def test_a_shared_weight_that_differs_in_the_file_is_refused():
    message = refusal(Tied(), {"encode.weight": torch.zeros(4, 4), "decode.weight": torch.ones(4, 4)})
    assert "decode.weight and encode.weight are one tensor in the network, but two in the checkpoint" in message


def test_a_buffer_that_the_network_makes_itself_may_be_in_the_file_if_it_is_equal():
    saved = dict.fromkeys(TIED, torch.rand(4, 4))
    model = Tied()
    load_checkpoint(model, content_of(saved | {"positions": torch.arange(4.0)}), "weights.pth")
    assert torch.equal(model.encode.weight, saved["encode.weight"])
    assert "1 (positions) unknown" in refusal(Tied(), saved | {"positions": torch.zeros(4)})
