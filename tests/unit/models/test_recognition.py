"""torchvision's networks are recognised by the names and shapes of a checkpoint's tensors."""

import json

import pytest
from helpers.models.torchvision_bodies import names, row

from slipway.models.checkpoint_files import content_of
from slipway.models.recognition import _TABLE, empty_network, recognise

QUICK = ("squeezenet1_1", "resnet18", "shufflenet_v2_x0_5", "mobilenet_v3_small", "regnet_y_400mf")


def recognised(architecture, **arguments):
    """Return the networks that fit the names and shapes of an architecture, which has no values here."""
    return recognise(content_of(empty_network(architecture, **arguments).state_dict()))


@pytest.mark.parametrize("architecture", [*QUICK, "inception_v3", "swin_t"])
def test_a_network_of_torchvision_is_recognised_with_its_number_of_classes(architecture):
    (match,) = recognised(architecture, num_classes=7)
    assert (match.architecture, match.arguments, match.weights_keys) == (architecture, {"num_classes": 7}, ["."])


def test_the_published_number_of_classes_is_not_written():
    assert recognised("squeezenet1_1")[0].arguments == {}


def test_a_vision_transformer_has_the_size_of_its_photographs():
    (match,) = recognised("vit_b_32", num_classes=7, image_size=64)
    assert (match.architecture, match.arguments) == ("vit_b_32", {"num_classes": 7, "image_size": 64})


def test_a_published_vision_transformer_is_recognised_by_its_older_names():
    state = empty_network("vit_b_32").state_dict()
    older = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): state[name] for name in state
    }
    assert older.keys() != state.keys()
    assert [match.architecture for match in recognise(content_of(older))] == ["vit_b_32"]


def test_a_network_for_segmentation_is_recognised():
    (match,) = recognised("fcn_resnet50", num_classes=4, aux_loss=True)
    assert (match.architecture, match.arguments) == ("fcn_resnet50", {"num_classes": 4})


@pytest.mark.parametrize("architecture", QUICK)
def test_the_table_is_torchvisions(architecture):
    assert json.loads(_TABLE.read_text(encoding="utf-8"))[architecture] == row(architecture)


@pytest.mark.long
def test_the_table_has_all_of_torchvisions_networks():
    assert json.loads(_TABLE.read_text(encoding="utf-8")) == {name: found for name in names() if (found := row(name))}
