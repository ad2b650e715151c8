import os

import numpy as np
import pytest

from slipway.classification.image_files import digest_of_images, find_images
from slipway.core.errors import SlipwayError


@pytest.fixture
def photographs(tmp_path):
    for index in (7, 3, 9, 0, 5, 1, 8, 2, 6, 4):
        path = tmp_path / f"{index % 2}" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_images_are_sorted(photographs):
    found = find_images(photographs)
    assert len(found) == 10
    assert found == sorted(found)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_a_limit_spreads_evenly(photographs, limit):
    everything = find_images(photographs)
    places = [everything.index(path) for path in find_images(photographs, limit)]
    assert len(places) == limit
    steps = np.diff([*places, len(everything)])
    assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize("limit", [10, 11, None])
def test_a_limit_that_is_not_reached_takes_all(photographs, limit):
    assert find_images(photographs, limit) == find_images(photographs)


def test_only_images_are_found(tmp_path):
    for name in ("a.JPG", "b.jpeg", "c.PNG", "notes.txt", "d.jpg.part"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.jpeg", "c.PNG"]


def test_folders_behind_links_are_looked_into_once(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("linked")
    (folder / "class").symlink_to(photographs / "0")
    (folder / "class" / "circle").symlink_to(folder)
    assert find_images(folder) == [folder / "class" / path.name for path in find_images(photographs / "0")]


def test_a_name_that_is_not_utf_8_is_part_of_the_digest(tmp_path):
    (tmp_path / "a.jpg").touch()
    other = tmp_path / os.fsdecode(b"\xe9.jpg")
    before = digest_of_images(tmp_path)
    other.touch()
    assert digest_of_images(tmp_path) != before
    other.rename(tmp_path / os.fsdecode(b"\xe8.jpg"))
    assert digest_of_images(tmp_path, 1) == before


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SlipwayError, match="holds no image") as caught:
        find_images(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(SlipwayError, match=r"a\.jpg is a file; correct the path"):
        find_images(tmp_path / "a.jpg")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SlipwayError, match="correct the path") as caught:
        find_images(tmp_path / "none")
    assert str(tmp_path / "none") in str(caught.value)
