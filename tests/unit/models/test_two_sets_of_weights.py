"""Of several sets of weights in a file none is taken without being named."""

import pytest
import torch
from helpers.models.checkpoints import ARCHITECTURE, ARGUMENTS, assert_loaded, below, refusal, seeded

from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of
from slipway.models.choosing import load_checkpoint

PAIRS = [
    ("model", "model_ema"),
    ("state_dict", "state_dict_ema"),
    ("model", "ema"),
    ("net", "swa_model"),
    ("student", "teacher"),
    ("generator", "discriminator"),
    ("model", "best_model"),
    ("folds.0", "folds.1"),
]


def two_sets(first, other, raw, averaged):
    if first.startswith("folds"):
        return {"folds": [raw, averaged], "epoch": 3}
    return {first: raw, other: averaged, "epoch": 3}


@pytest.mark.parametrize(("first", "other"), PAIRS)
def test_of_two_sets_none_is_taken_without_being_named(network, raw, averaged, first, other):
    message = refusal(network, two_sets(first, other, raw, averaged))
    assert "2 different sets of weights that fit" in message
    assert f"`weights_key: {first}`" in message
    assert f"`weights_key: {other}`" in message


@pytest.mark.parametrize(("first", "other"), PAIRS)
def test_weights_key_chooses_either(raw, averaged, first, other):
    for key, expected in ((first, raw), (other, averaged)):
        network = build(ARCHITECTURE, ARGUMENTS)
        choice = load_checkpoint(network, content_of(two_sets(first, other, raw, averaged)), "weights.pth", key)
        assert_loaded(network, expected)
        assert choice.why == f"as `weights_key: {key}` asks"


def test_the_average_is_named_as_one(network, raw, averaged):
    message = refusal(network, {"model": raw, "model_ema": averaged})
    assert "`model_ema` is an average by its name" in message


def test_weights_key_names_what_is_below_it_too(network, raw, averaged):
    saved = {"model": below("module.", raw), "model_ema": {"n_averaged": torch.tensor(3), **below("module.", averaged)}}
    assert "`weights_key: model` or `weights_key: model_ema.module`" in refusal(network, saved)
    load_checkpoint(network, content_of(saved), "weights.pth", "model_ema")
    assert_loaded(network, averaged)


def test_sets_of_one_flat_file_are_told_apart(network, raw, averaged):
    saved = {"state_dict": below("net.", raw) | below("ema_net.", averaged)}
    assert "`weights_key: state_dict.ema_net`" in refusal(network, saved)
    load_checkpoint(network, content_of(saved), "weights.pth", "state_dict.ema_net")
    assert_loaded(network, averaged)


def test_an_average_beside_weights_at_the_top_is_seen(network, raw, averaged):
    saved = {**raw, "ema": averaged}
    assert "`weights_key: .` or `weights_key: ema`" in refusal(network, saved)
    load_checkpoint(network, content_of(saved), "weights.pth", ".")
    assert_loaded(network, raw)


@pytest.mark.parametrize(
    ("place", "copy"), [("", "ema."), ("", "module."), ("model.", "model.ema."), ("net.", "net.teacher.inner.")]
)
@pytest.mark.parametrize("key", ["state_dict", None])
def test_a_copy_that_the_network_keeps_in_itself_is_seen(network, raw, averaged, place, copy, key):
    flat = below(place, raw) | below(copy, averaged)
    prefix = f"{key}." if key else ""
    keys = [(prefix + name).strip(".") or "." for name in (place, copy)]
    saved = {key: flat} if key else flat
    assert f"`weights_key: {keys[0]}` or `weights_key: {keys[1]}`" in refusal(network, saved)
    load_checkpoint(network, content_of(saved), "weights.pth", keys[0])
    assert_loaded(network, raw)


def test_the_only_set_that_fits_is_taken_and_said(network, raw):
    saved = {"student": raw, "teacher": seeded(5, "shufflenet_v2_x0_5")}
    choice = load_checkpoint(network, content_of(saved), "weights.pth")
    assert_loaded(network, raw)
    assert choice.why == "the only ones that fit beside `teacher`"
    assert choice.left_out.startswith("teacher (")


def test_the_same_weights_twice_need_no_choice(network, raw):
    choice = load_checkpoint(network, content_of({"model": raw, "model_ema": dict(raw)}), "weights.pth")
    assert choice.why == "which are the same as `model_ema`"
    assert_loaded(network, raw)


@pytest.mark.parametrize(
    "average",
    [
        lambda state: {"ema": {"decay": 0.999, "shadow_params": list(state.values())}},
        lambda state: {"model_ema": {name.replace(".", ""): tensor for name, tensor in state.items()}},
        lambda state: {"model_avg": dict(list(state.items())[1:])},
    ],
    ids=["a list", "other names", "parameters alone"],
)
def test_an_average_that_cannot_be_read_is_not_passed_over(network, raw, averaged, average):
    saved = {"model": raw, **average(averaged)}
    message = refusal(network, saved)
    assert "is an average of the weights" in message
    assert "`weights_key: model`" in message
    load_checkpoint(network, content_of(saved), "weights.pth", "model")
    assert_loaded(network, raw)


def test_a_weights_key_that_is_not_there_is_told_with_what_is(network, raw):
    message = refusal(network, {"model": raw, "model_ema": raw}, "model_emma")
    assert "`weights_key` is 'model_emma'" in message
    assert "2 (model, model_ema)" in message
