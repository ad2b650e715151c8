"""Two sets of weights of one small network, and the network without them."""

import pytest
from helpers.models.checkpoints import ARCHITECTURE, ARGUMENTS, seeded

from slipway.models.architectures import build


@pytest.fixture(scope="package")
def raw():
    return seeded(1)


@pytest.fixture(scope="package")
def averaged():
    return seeded(2)


@pytest.fixture
def network():
    return build(ARCHITECTURE, ARGUMENTS)
