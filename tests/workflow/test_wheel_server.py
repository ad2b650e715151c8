"""The wheel's Triton kept away from what it cannot take: paths that a shell reads, HTTP, shared memory, proxies."""

from dataclasses import replace

import pytest
from helpers.artifacts.training import Training, options
from helpers.workplace import Workplace

from slipway.triton.ports import Ports

pytestmark = pytest.mark.slow

# What a shell splits, expands or runs, what Python cannot read in the C locale, and what parts the folders of PATH.
ODD = "a b;$(touch owned)'\"ä:c"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder by such a name, with an interpreter by such a name, where a tiny model is served."""
    root = tmp_path_factory.mktemp("odd")
    folder = root / ODD
    folder.mkdir()
    found = Workplace(folder)
    found.training = Training(folder / "training", seed=1)
    found.served_at = replace(Ports.free(), http=None)
    found.deployed = found.program("deploy", *options(found, found.training), LC_ALL="C")
    yield found
    found.program("undeploy", "--receipts", "results/tiny/deploy/receipt.json").succeeded()
    assert not list(root.rglob("owned"))


def test_it_serves_from_any_path_and_nothing_of_the_path_is_executed(place):
    place.deployed.succeeded()
    assert not list(place.folder.parent.rglob("owned"))
