"""The canonical form of weights loads again exactly, whatever the network is."""

import errno

import numpy as np
import pytest
import torch
from helpers.file_size_limit import no_file_above
from helpers.models.canonical_weights import PICTURE
from torch import nn

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.canonical import load_model, write_canonical
from slipway.models.trial_runs import require_reproducible


class Tied(nn.Module):
    """Two layers that share one weight, and a buffer that no state dict has."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(12, 12, bias=False), nn.Linear(12, 12, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("scale", torch.full((12,), 2.0), persistent=False)

    def forward(self, images):
        return self.decode(self.encode(images.flatten(1)) * self.scale)


class Lazy(nn.Module):
    """Layers that take their sizes from the first input."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.LazyConv2d(4, 1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))

    def forward(self, images):
        return self.layers(images)


class Normed(nn.Module):
    """A layer with weight_norm as PyTorch had it before parametrizations."""

    def __init__(self):
        super().__init__()
        self.layer = nn.utils.weight_norm(nn.Linear(12, 5))

    def forward(self, images):
        return self.layer(images.flatten(1))


def test_the_same_weights_are_always_the_same_file(tmp_path):
    torch.manual_seed(0)
    network = Normed()
    for number in range(20):
        write_canonical(network, tmp_path / f"{number}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(5)

    def forward(self, images):
        raise ValueError("Expected 8 pixels")


class Projecting(nn.Module):
    """A random projection that no checkpoint has, unless it is kept."""

    def __init__(self, kept=False, seed=None):
        super().__init__()
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        self.register_buffer("projection", torch.randn(12, 12, generator=generator), persistent=kept)
        self.head = nn.Linear(12, 5)

    def forward(self, images):
        return self.head(images.flatten(1) @ self.projection)


def zeros(shape):
    return {"input": np.zeros(shape, np.float32)}


def reloaded(model, tmp_path, architecture, shape=(1, 3, 2, 2)):
    path = tmp_path / "weights.safetensors"
    write_canonical(model, path)
    return load_model(
        path,
        {
            "architecture": architecture,
            "arguments": {},
            "program": None,
            "inputs": {"input": {"dtype": "float32", "shape": list(shape)}},
        },
    )


@pytest.mark.parametrize("kind", [Tied, Lazy, Normed])
@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_a_network_loads_again_exactly(tmp_path, kind):
    torch.manual_seed(1)
    shape = (1, 3, 2, 2)
    model = build(f"{__name__}:{kind.__name__}", {}, zeros(shape))
    again = reloaded(model, tmp_path, f"{__name__}:{kind.__name__}")
    assert not again.training
    images = torch.rand(4, *shape[1:])
    with torch.inference_mode():
        assert torch.equal(again(images), model(images))
    assert {type(module).__name__ for module in again.modules()} == {type(each).__name__ for each in model.modules()}


def test_nothing_is_lazy_once_it_is_loaded(tmp_path):
    model = build(f"{__name__}:Lazy", {}, zeros((1, 3, 2, 2)))
    again = reloaded(model, tmp_path, f"{__name__}:Lazy")
    assert not [module for module in again.modules() if isinstance(module, nn.modules.lazy.LazyModuleMixin)]


def test_a_lazy_network_that_does_not_take_the_crop_is_told():
    with pytest.raises(SlipwayError, match=r"lazy modules.*\(1, 3, 2, 2\) \(Expected 8 pixels\).*`preprocess.crop`"):
        build(f"{__name__}:Broken", {}, zeros((1, 3, 2, 2)))


@pytest.mark.filterwarnings("ignore:A new version of MNASNet")
def test_the_version_of_a_network_is_kept(tmp_path):
    model = build("mnasnet0_5")
    first = build("mnasnet0_5").state_dict()
    first._metadata[""]["version"] = 1
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(first)  # which makes it the wider network of the first version
    again = reloaded(model.eval(), tmp_path, "mnasnet0_5")
    assert again.layers[0].out_channels == 32
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(again(images), model(images))


def test_weights_of_a_network_that_changed_since_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_canonical(build("squeezenet1_1"), path)
    with pytest.raises(SlipwayError, match=r"does not fit mobilenet_v3_small any more: .*missing"):
        load_model(path, {"architecture": "mobilenet_v3_small", "arguments": {}, "program": None, "inputs": PICTURE})


def test_what_is_random_and_in_no_checkpoint_is_refused():
    images, architecture = {"input": np.ones((1, 3, 2, 2), np.float32)}, f"{__name__}:Projecting"
    with pytest.raises(
        SlipwayError, match=r"answers differently each time it is made.*1 \(projection\).*persistent=True"
    ):
        require_reproducible(build(architecture), architecture, {}, images)
    for arguments in ({"kept": True}, {"seed": 3}):
        require_reproducible(build(architecture, arguments), architecture, arguments, images)


def test_a_file_that_cannot_be_written_to_its_end_is_the_systems_error(tmp_path):
    with no_file_above(1000), pytest.raises(OSError, match="weights") as caught:
        write_canonical(nn.Linear(100, 100), tmp_path / "weights.safetensors")
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
