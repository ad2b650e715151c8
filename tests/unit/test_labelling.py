import pytest

from slipway.photographs.labelling import UNKNOWN, class_of_each

NAMES = ["tench", "goldfish", "great white shark"]


def classes(folder, paths: list[str], names: list[str] | None = None) -> list[int]:
    files = [folder / path for path in paths]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return class_of_each(files, folder, names or NAMES).tolist()


def test_a_file_name_that_starts_with_an_index(tmp_path):
    assert classes(tmp_path, ["2_a.jpg", "0_b.jpg", "001_c.jpg"]) == [2, 0, 1]


def test_a_folder_named_by_an_index(tmp_path):
    assert classes(tmp_path, ["2/a.jpg", "0/b.jpg"]) == [2, 0]


def test_a_folder_named_by_a_class_in_any_case(tmp_path):
    assert classes(tmp_path, ["Great White Shark/a.jpg", "goldfish/b.jpg"]) == [2, 1]


def test_a_folder_for_each_class_in_sorted_order(tmp_path):
    assert classes(tmp_path, ["n02/b.jpg", "n03/c.jpg", "n01/a.jpg"]) == [1, 2, 0]


def test_fewer_folders_than_classes_tell_nothing(tmp_path):
    assert classes(tmp_path, ["n01/a.jpg", "n02/b.jpg"]) == [UNKNOWN, UNKNOWN]


def test_the_folder_comes_before_the_file_name(tmp_path):
    assert classes(tmp_path, ["goldfish/2_a.jpg", "2/0001_a.jpg"]) == [1, 2]
    assert classes(tmp_path / "shards", ["all/2_a.jpg"]) == [2]


def test_the_name_of_a_class_comes_before_the_order(tmp_path):
    assert classes(tmp_path, ["tench/a.jpg", "goldfish/b.jpg", "great white shark/c.jpg"]) == [0, 1, 2]


def test_a_folder_beside_those_of_classes_is_not_told_by_the_order(tmp_path):
    assert classes(tmp_path, ["tench/a.jpg", "goldfish/b.jpg", "grate white shark/c.jpg"]) == [0, 1, UNKNOWN]


def test_numbers_from_one_on_are_no_indices(tmp_path):
    assert classes(tmp_path, ["1/a.jpg", "2/b.jpg", "3/c.jpg"]) == [0, 1, 2]


@pytest.mark.parametrize("path", ["a.jpg", "3_a.jpg", "3/a.jpg", "whale/a.jpg", "12.jpg", "n01_12.jpg", "_1.jpg"])
def test_what_tells_nothing_is_unknown(tmp_path, path):
    assert classes(tmp_path, [path]) == [UNKNOWN]


def test_a_number_that_is_no_class_is_none(tmp_path):
    assert classes(tmp_path, ["goldfish/2019_holiday.jpg", "2019_holiday.jpg"]) == [1, UNKNOWN]


def test_folders_below_a_class_belong_to_it(tmp_path):
    assert classes(tmp_path, ["goldfish/summer/a.jpg"]) == [1]


def test_a_name_of_two_classes_tells_nothing(tmp_path):
    assert classes(tmp_path, ["crane/a.jpg"], ["crane", "heron", "crane"]) == [UNKNOWN]
