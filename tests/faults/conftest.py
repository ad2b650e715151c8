"""Where the fault tests run: an empty folder, a copy of a good run."""

import pytest
from helpers.workplace import Workplace


@pytest.fixture
def workplace(tmp_path):
    """Return a folder in which nothing was made yet."""
    return Workplace(tmp_path)


@pytest.fixture
def after_good_run(good_run, tmp_path):
    """Return a copy of the good run."""
    return good_run.copied(tmp_path.with_name(f"{tmp_path.name}_after_good_run"))
