"""Which weights of a checkpoint are taken, and what is refused."""

import pytest
import torch
import torchvision
from helpers.models.published_files import as_published, seeded_network
from safetensors.torch import save_file

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.checkpoint_files import content_of, read_checkpoint
from slipway.models.choosing import load_checkpoint

ARCHITECTURE, ARGUMENTS = "squeezenet1_1", {"num_classes": 3}


def seeded(seed, architecture=ARCHITECTURE, arguments=ARGUMENTS):
    torch.manual_seed(seed)
    return build(architecture, arguments).state_dict()


@pytest.fixture(scope="module")
def raw():
    return seeded(1)


@pytest.fixture(scope="module")
def averaged():
    return seeded(2)


@pytest.fixture
def network():
    return build(ARCHITECTURE, ARGUMENTS)


def below(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def assert_loaded(model, expected):
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def refusal(model, saved, weights_key=None):
    with pytest.raises(SlipwayError) as caught:
        load_checkpoint(model, content_of(saved), "weights.pth", weights_key)
    message = str(caught.value)
    assert "weights.pth" in message
    assert "\n" not in message
    return message


# Wrappers and prefixes

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


# Two sets of weights

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


# What does not fit


def test_another_architecture_is_told_with_what_differs(raw):
    message = refusal(build("shufflenet_v2_x0_5", {"num_classes": 3}), raw)
    assert "another architecture" in message
    assert "conv1.0.weight" in message
    assert "classifier.1.bias" in message
    assert "read as `state_dict`" in refusal(build("shufflenet_v2_x0_5", {"num_classes": 3}), {"state_dict": raw})


def test_another_number_of_classes_is_told_with_both_shapes(raw):
    message = refusal(build(ARCHITECTURE, {"num_classes": 4}), raw)
    assert "classifier.1.bias is (3,), not (4,)" in message


def test_nothing_is_loaded_of_what_does_not_fit(raw):
    model = build(ARCHITECTURE, {"num_classes": 4})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refusal(model, raw)
    assert_loaded(model, before)


def test_a_missing_name_is_told(network, raw):
    short = {name: tensor for name, tensor in raw.items() if name != "classifier.1.bias"}
    message = refusal(network, short)
    assert "1 (classifier.1.bias) missing, none unknown, none of another shape" in message


def test_the_nearest_reading_is_named(network, raw):
    short = {name: tensor for name, tensor in raw.items() if name != "classifier.1.bias"}
    message = refusal(network, {"net": below("inner.", short), "acc": 3})
    assert "read as `net.inner`, which is nearest: 1 (classifier.1.bias) missing" in message


# Numbers of other kinds


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_cast_and_it_is_said(network, raw, dtype):
    choice = load_checkpoint(network, content_of({name: raw[name].to(dtype) for name in raw}), "weights.pth")
    assert choice.cast == f"52 tensors from {str(dtype).removeprefix('torch.')} to float32"
    assert_loaded(network, {name: raw[name].to(dtype).float() for name in raw})


@pytest.mark.parametrize(
    "dtype",
    [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn],
    ids=str,
)
@pytest.mark.parametrize("names", [["classifier.1.bias"], None], ids=["one", "all"])
def test_numbers_of_another_kind_are_refused(network, raw, dtype, names):
    saved = raw | {name: raw[name].to(dtype) for name in names or raw}
    message = refusal(network, saved)
    assert f"is {str(dtype).removeprefix('torch.')}, not float32" in message
    assert "another kind" in message


@pytest.mark.filterwarnings("ignore")
def test_quantized_tensors_are_refused(network, raw):
    quantized = torch.quantize_per_tensor(raw["classifier.1.bias"], 0.1, 0, torch.qint8)
    assert "qint8, not float32" in refusal(network, raw | {"classifier.1.bias": quantized})


def test_numbers_that_become_infinite_are_refused(network, raw):
    large = torch.full_like(raw["classifier.1.bias"], 1.0).double() * 1e300
    assert "which its largest numbers exceed" in refusal(network, raw | {"classifier.1.bias": large})


# What modules change when they load


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
