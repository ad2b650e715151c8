"""Weights are read in every layout and under every prefix that training programs write."""

import pytest
import torch
from helpers.models.checkpoints import ARCHITECTURE, ARGUMENTS, assert_loaded, below
from safetensors.torch import save_file

from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of, read_checkpoint
from slipway.models.choosing import load_checkpoint

LAYOUTS = {
    "alone": (lambda state: state, "."),
    "state_dict": (lambda state: {"state_dict": state, "epoch": 90, "optimizer": {"lr": 0.1}}, "state_dict"),
    "model_state_dict": (lambda state: {"model_state_dict": state}, "model_state_dict"),
    "net and acc": (lambda state: {"net": state, "acc": 93.1, "epoch": 7}, "net"),
    "nested": (lambda state: {"model": {"state_dict": state}, "epoch": 7}, "model.state_dict"),
    "DataParallel": (lambda state: {"state_dict": below("module.", state)}, "state_dict"),
    "compiled": (lambda state: below("_orig_mod.", state), "."),
    "compiled and parallel": (lambda state: below("module._orig_mod.", state), "."),
    "Lightning": (
        lambda state: {
            "state_dict": below("model.", state) | {"criterion.weight": torch.ones(3)},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(8)}}, "param_groups": [{"lr": 0.1}]}],
            "hyper_parameters": {"lr": 0.1},
            "pytorch-lightning_version": "2.4.0",
        },
        "state_dict.model",
    ),
    "DeepSpeed": (lambda state: {"module": state, "optimizer": None, "global_steps": 100}, "."),
    "backbone": (lambda state: below("backbone.", state), "backbone"),
    "net": (lambda state: {"weights": below("net.encoder.", state)}, "weights.net.encoder"),
    "AveragedModel": (lambda state: {"n_averaged": torch.tensor(12), **below("module.", state)}, "module"),
    "folds": (lambda state: {"folds": [state]}, "folds.0"),
}


@pytest.mark.parametrize(("save", "key"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_of_a_training_program_is_read(tmp_path, network, raw, save, key):
    torch.save(save(raw), tmp_path / "weights.pth")
    choice = load_checkpoint(network, read_checkpoint(tmp_path / "weights.pth"), "weights.pth")
    assert choice.weights_key == key
    assert_loaded(network, raw)


def test_the_names_of_a_safetensors_file_have_prefixes_too(tmp_path, network, raw):
    saved = content_of(LAYOUTS["Lightning"][0](raw)).tensors
    save_file({name: tensor.clone() for name, tensor in saved.items()}, tmp_path / "weights.safetensors")
    choice = load_checkpoint(network, read_checkpoint(tmp_path / "weights.safetensors"), "weights.safetensors")
    assert choice.weights_key == "state_dict.model"
    assert_loaded(network, raw)


def test_what_lay_beside_a_common_prefix_is_told(network, raw):
    choice = load_checkpoint(network, content_of(LAYOUTS["AveragedModel"][0](raw)), "weights.pth")
    assert choice.left_out == "n_averaged"
    assert "the weights are those of `module`" in str(choice)


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
def test_a_wrapper_around_an_inner_module_is_read(network, raw, wrapper):
    saved = {name.replace("features.", f"features.{wrapper}", 1): tensor for name, tensor in raw.items()}
    load_checkpoint(network, content_of(saved), "weights.pth")
    assert_loaded(network, raw)


def test_a_network_that_wraps_another_takes_the_inner_ones_weights(raw):
    torch.manual_seed(3)
    wrapping = torch.nn.Sequential(build(ARCHITECTURE, ARGUMENTS), torch.nn.Softmax(-1))
    load_checkpoint(wrapping, content_of({"model": raw}), "weights.pth")
    assert_loaded(wrapping, below("0.", raw))


def test_parts_that_were_saved_by_themselves_are_read_together(network, raw):
    parts = {
        part: {name.removeprefix(f"{part}."): tensor for name, tensor in raw.items() if name.startswith(part)}
        for part in ("features", "classifier")
    }
    load_checkpoint(network, content_of({"state": parts}), "weights.pth")
    assert_loaded(network, raw)
