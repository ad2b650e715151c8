import pytest

from slipway.core.errors import SlipwayError
from slipway.models.architectures import build

MODULE = """
import torch

def pair():
    return torch.nn.Linear(2, 3), {"mean": 0.5}

def nothing():
    torch.nn.Linear(2, 3)

def weights():
    return torch.nn.Linear(2, 3).state_dict()

class Network(torch.nn.Module):
    pass

def the_class():
    return Network

def by_key(sizes=None):
    return torch.nn.Linear({"small": 2}[sizes], 3)

def by_attribute():
    return torch.nn.Linear(2, 3).no_such_thing

def needs_a_package():
    import no_such_package.layers
    return torch.nn.Linear(2, 3)

def reads_a_file():
    return torch.load("/nowhere/pretrained.pth")

def downloads():
    import urllib.error
    raise urllib.error.URLError("Name or service not known")

def with_arguments(classes):
    return torch.nn.Linear(2, classes)

def stops():
    assert torch.nn.Linear(2, 3).weight.shape == (2, 3), "weights are transposed"
"""


@pytest.fixture
def factories(tmp_path, monkeypatch, request):
    """Write the factories into a module of its own, and return its name."""
    name = f"factories_of_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("factory", "phrases"),
    [
        ("pair", ["returns a tuple (Linear, dict)", "returns the network alone"]),
        ("nothing", ["returns nothing (None): its `return` is missing"]),
        ("weights", ["returns a OrderedDict, where one torch.nn.Module is needed"]),
        ("the_class", ["returns the class Network and not an instance of it"]),
        ("by_key", ["(KeyError: None)", ': return torch.nn.Linear({"small": 2}[sizes], 3)', "correct `arguments`"]),
        ("by_attribute", ["no attribute 'no_such_thing'", ": return torch"]),
        (
            "needs_a_package",
            [
                "needs the package no_such_package, which is not installed",
                ": import no_such_package.layers",
                "install it",
            ],
        ),
        ("reads_a_file", ["reads or downloads", "/nowhere/pretrained.pth", ": return torch.load(", "without weights"]),
        ("downloads", ["reads or downloads", "Name or service not known", "without weights"]),
        ("with_arguments", ["missing 1 required positional argument: 'classes'", "correct `arguments`"]),
        ("stops", ["(weights are transposed)", ": assert torch"]),
    ],
)
def test_a_factory_that_makes_no_network_is_told_with_its_cause(factories, factory, phrases):
    with pytest.raises(SlipwayError) as caught:
        build(f"{factories}:{factory}")
    assert all(phrase in str(caught.value) for phrase in phrases), str(caught.value)
    assert f"architecture {factories}:{factory} " in str(caught.value)


def test_a_key_that_a_factory_does_not_know_is_told_with_the_arguments(factories):
    with pytest.raises(SlipwayError, match=r"arguments {'sizes': 'large'} \(KeyError: 'large'\) at .*py:20: return"):
        build(f"{factories}:by_key", {"sizes": "large"})
