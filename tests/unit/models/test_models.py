"""Networks by name, and what they do when they are made."""

import os
import subprocess
import sys

import pytest
import torch
from helpers.workplace import free_ports

from slipway.core.errors import SlipwayError
from slipway.keys.code_hash import SCRIPTS, CodeHashes
from slipway.models.architectures import build
from slipway.models.auxiliary_heads import head_names

ARCHITECTURE = "squeezenet1_1"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module of the user's, where imports find it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, *lines):
        (tmp_path / f"{name}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return f"{name}:make"

    return write


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_torchvisions_classifiers_are_built_by_name(architecture):
    model = build(architecture, {"num_classes": 4})
    assert not model.training
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


@pytest.mark.parametrize("arguments", [{}, {"aux_logits": True}, {"aux_logits": False}])
def test_auxiliary_heads_are_no_part_of_what_is_served(arguments):
    model = build("googlenet", {"num_classes": 4, "init_weights": False, **arguments})
    assert not [name for name in model.state_dict() if name.startswith("aux")]
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


def test_a_factory_is_called_with_its_arguments():
    model = build("torch.nn:Linear", {"in_features": 2, "out_features": 5})
    assert model.weight.shape == (5, 2)
    assert not model.training


def test_a_factory_may_be_an_attribute_of_a_class():
    model = build("torchvision.models.squeezenet:squeezenet1_1", {"num_classes": 2})
    assert model.classifier[1].out_channels == 2


@pytest.mark.parametrize("architecture", ["no_such_package.models:make", "torch.nn:Linearr", "torch.nn:Linear.nothing"])
def test_what_cannot_be_imported_is_named(architecture):
    with pytest.raises(SlipwayError, match="install its package") as caught:
        build(architecture)
    assert architecture in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "arguments", "phrase"),
    [
        (ARCHITECTURE, {"num_clases": 3}, "num_clases"),
        (ARCHITECTURE, {"num_classes": "3"}, "'num_classes': '3'"),
        (ARCHITECTURE, {"num_classes": -3}, "-3"),
        ("torch.nn:Linear", {}, "in_features"),
        ("torch.nn:functional", {}, "not callable"),
    ],
)
def test_arguments_that_it_does_not_take_are_named(architecture, arguments, phrase):
    with pytest.raises(SlipwayError, match="correct `arguments`") as caught:
        build(architecture, arguments)
    assert architecture in str(caught.value)
    assert phrase in str(caught.value)


def test_a_module_that_does_not_even_load_is_named_with_what_it_raised(module):
    with pytest.raises(SlipwayError, match=r"cannot be imported \(.*unfinished_module\.py, line 1"):
        build(module("unfinished_module", "def make(:"))


@pytest.mark.parametrize(
    "body",
    [
        "torch.hub.load_state_dict_from_url('{url}/net-0123abcd.pth')",
        "import urllib.request; urllib.request.urlopen('{url}/net-0123abcd.pth')",
        "import requests; requests.get('{url}/net-0123abcd.pth')",
        "\n    try:\n        import requests; requests.get('{url}/net-0123abcd.pth')\n"
        "    except OSError as error:\n        raise RuntimeError('no weights') from error",
    ],
    ids=["torch.hub", "urllib", "requests", "wrapped"],
)
def test_a_factory_that_downloads_says_what_it_tried_to_fetch(module, monkeypatch, tmp_path, body):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = f"http://127.0.0.1:{free_ports()['http_port']}"
    architecture = module(f"fetches_{abs(hash(body))}", "import torch", "def make():", f"    {body.format(url=url)}")
    with pytest.raises(SlipwayError, match="its factory downloads") as caught:
        build(architecture)
    assert f"{url}/net-0123abcd.pth" in str(caught.value)
    assert "pretrained=False" in str(caught.value)
    assert "TORCH_HOME" in str(caught.value)
    assert "\n" not in str(caught.value)


# Modules that are named like the workflow's own

NET = """
import torch
def make(classes=3):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(classes))
"""
NAMES = ("predict", "deploy", "status", "publish", "slipway")
BUILDS = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
import predict, deploy, status
from slipway.models.architectures import build
from slipway.models.auxiliary_heads import head_names
for name in {NAMES}:
    print(name, build(f"{{name}}:make")[1].out_features)
from slipway.models import trial_runs  # the workflow still finds its own modules
assert all(module.__file__.startswith({str(SCRIPTS)!r}) for module in (trial_runs, sys.modules["predict"]))
"""


def test_a_users_module_may_be_named_like_one_of_the_workflow(tmp_path):
    for classes, name in enumerate(NAMES, start=3):
        (tmp_path / f"{name}.py").write_text(NET.replace("=3", f"={classes}"), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", BUILDS], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [word for classes, name in enumerate(NAMES, start=3) for word in (name, str(classes))]


@pytest.mark.parametrize("name", ["predict", "slipway"])
def test_the_code_of_such_a_module_is_the_users(tmp_path, monkeypatch, name):
    monkeypatch.syspath_prepend(tmp_path)
    assert CodeHashes().of_architecture(f"{name}:make") == {}
    (tmp_path / f"{name}.py").write_text(NET, encoding="utf-8")
    first = CodeHashes().of_architecture(f"{name}:make")
    assert list(first) == [f"{name}.py"]
    (tmp_path / f"{name}.py").write_text(NET.replace("=3", "=4"), encoding="utf-8")
    assert CodeHashes().of_architecture(f"{name}:make") != first


def test_a_program_of_the_workflow_is_nobodys_architecture():
    with pytest.raises(SlipwayError, match="cannot be imported"):
        build("status:main")


def test_a_program_without_pytorch_says_so_in_a_sentence():
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); sys.modules['torch'] = None; import fetch_weights"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    told = "error: torch is not installed here; pip install -r envs/requirements.txt"
    assert (ended.returncode, ended.stderr.strip()) == (1, told)


def test_a_segmentation_network_of_torchvision_downloads_no_backbone_and_has_no_auxiliary_head(monkeypatch):
    def download(*_, **__):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    model = build("deeplabv3_mobilenet_v3_large", {"aux_loss": True})
    assert not [name for name in model.state_dict() if name.startswith("aux")]
    assert head_names(model) == ("aux_classifier.",)
