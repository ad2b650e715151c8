"""What several unit tests of the deployment manifests start from."""

import pytest
from measured import Measured

from slipway.errors import SlipwayError
from write_manifests import main


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return a function that measures a model on targets here, where nothing of them needs to be."""
    monkeypatch.chdir(tmp_path)
    return lambda **settings: Measured(tmp_path, **settings)


@pytest.fixture
def refused(measured):
    """Return a function that returns why no manifests were written, after making sure that there are none."""

    def told(**settings):
        found = measured(**settings).measure()
        with pytest.raises(SlipwayError) as caught:
            main(found.arguments())
        assert not found.path("deploy").exists()
        return str(caught.value)

    return told
