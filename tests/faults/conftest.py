"""Where the fault tests run: an empty folder, a good run, a copy of it."""

import shutil

import pytest
import yaml
from workplace import ENGINE_RECORD, GOLDEN, Workplace, random_checkpoint


@pytest.fixture
def workplace(tmp_path):
    """Return a folder in which nothing was made yet."""
    return Workplace(tmp_path)


@pytest.fixture(scope="session")
def good_run(tmp_path_factory):
    """Return a folder in which golden logits, ONNX file and engine were made from a good checkpoint; leave it as is."""
    made = Workplace(tmp_path_factory.mktemp("good"))
    random_checkpoint(made.path("good.pth"), seed=1)
    made.snakemake(GOLDEN, ENGINE_RECORD).succeeded()
    assert not made.partial_files()
    return made


@pytest.fixture
def after_good_run(good_run, tmp_path):
    """Return a copy of the good run, at the same depth, so that Snakemake finds its work done."""
    copy = tmp_path.with_name(f"{tmp_path.name}_after_good_run")
    shutil.copytree(good_run.folder, copy)
    return Workplace(copy, yaml.safe_load((good_run.folder / "config.yaml").read_text(encoding="utf-8")))
