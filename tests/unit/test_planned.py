import argparse
from importlib import metadata
from pathlib import Path

import pytest

from slipway.artifacts import sha256
from slipway.errors import SlipwayError
from slipway.photographs.image_files import digest_of_images
from slipway.planned import PACKAGES, add_planned, require_planned, settings_of


def given(**options):
    return argparse.Namespace(**options)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(("option", "package"), PACKAGES.items())
def test_another_version_than_the_planned_one_is_named(option, package):
    require_planned(given(**{option: metadata.version(package)}))
    with pytest.raises(SlipwayError, match=f"planned for {package} 0.1, but {metadata.version(package)} runs"):
        require_planned(given(**{option: "0.1"}))


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(PACKAGES, "torch_version", "no-such-package")
    with pytest.raises(SlipwayError, match="no-such-package is not installed here; pip install"):
        require_planned(given(torch_version="1"))


def test_a_file_that_changed_since_is_named(file):
    options = {"checkpoint": file, "checkpoint_sha256": sha256(file)}
    require_planned(given(**options))
    file.write_bytes(b"others")
    with pytest.raises(SlipwayError, match=r"weights\.pth changed since this job was planned .*run snakemake again"):
        require_planned(given(**options))


def test_a_folder_of_photographs_that_changed_since_is_named(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_text(name)
    options = {"images": tmp_path, "images_sha256": digest_of_images(tmp_path, 2), "max_images": 2}
    require_planned(given(**options))
    (tmp_path / "a.jpg").write_text("other")
    with pytest.raises(SlipwayError, match="changed since this job was planned"):
        require_planned(given(**options))


def test_what_was_not_declared_may_be_anything(file):
    require_planned(given(torch_version=None, checkpoint=file, checkpoint_sha256=None))


def test_a_missing_file_is_left_to_its_reader(tmp_path):
    require_planned(given(checkpoint=tmp_path / "none", checkpoint_sha256="0"))


def test_settings_are_what_is_neither_a_file_nor_a_way_to_work():
    options = given(
        crop=64, mean=[0.5], log="l", weights=Path("w"), engines=[Path("e")], tensorrt_python="p", labelled=None
    )
    assert settings_of(options) == {"crop": 64, "mean": [0.5]}


def test_options_say_what_they_declare():
    parser = argparse.ArgumentParser()
    add_planned(parser, "torch_version", "labels_from_sha256")
    said = " ".join(parser.format_help().split())
    assert "the torch that the job was planned for" in said
    assert "what --labels-from holds that the job was planned for" in said
