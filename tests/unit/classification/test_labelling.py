"""The class of a photograph is told by a folder or a file name in one way only, or not at all."""

import json
import unicodedata

import pytest

from slipway.classification.image_files import find_images
from slipway.classification.label_files import Labels, read_labels
from slipway.classification.labelling import UNKNOWN, label_photographs
from slipway.core.errors import SlipwayError

NAMES = ["tench", "goldfish", "great white shark"]
NUMBERS = [str(number) for number in range(12)]


def labelled(folder, paths, names=NAMES, source="file"):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    labels = names if isinstance(names, Labels) else Labels.of_names(list(names))
    return label_photographs(find_images(folder), folder, labels, source)


def classes(folder, paths, names=NAMES, source="file"):
    """Return {path: class} of some photographs."""
    found = labelled(folder, paths, names, source).classes.tolist()
    return dict(zip([image.relative_to(folder).as_posix() for image in find_images(folder)], found, strict=True))


def of_folders(folder, folders, names=NAMES, source="file"):
    """Return {folder: class} of some folders with a photograph each."""
    found = classes(folder, [f"{name}/a.jpg" for name in folders], names, source)
    return {path.partition("/")[0]: index for path, index in found.items()}


def refusal(folder, folders, names=NAMES, source="file"):
    with pytest.raises(SlipwayError) as caught:
        of_folders(folder, folders, names, source)
    assert str(folder) in str(caught.value)
    return str(caught.value)


# By the name of a class


@pytest.mark.parametrize("source", ["file", "torchvision", "none"])
def test_a_folder_named_as_a_class_is_that_class(tmp_path, source):
    assert of_folders(tmp_path, NAMES, source=source) == {"tench": 0, "goldfish": 1, "great white shark": 2}


@pytest.mark.parametrize("names", [sorted(NUMBERS), NUMBERS[::-1], [*NUMBERS[5:], *NUMBERS[:5]]])
def test_numbered_folders_are_the_classes_that_the_label_file_names_so(tmp_path, names):
    assert of_folders(tmp_path, NUMBERS, names) == {name: index for index, name in enumerate(names)}
    told = labelled(tmp_path, [], names)
    assert {each.rule for each in told.folders} == {"name"}
    assert not told.alternative_folders


@pytest.mark.parametrize(
    ("folder", "rule"),
    [
        ("great white shark", "name"),
        (" great  white shark", "name"),
        ("Great White Shark", "name in another spelling"),
        ("great_white_shark", "name in another spelling"),
        ("GREAT-WHITE-SHARK", "name in another spelling"),
    ],
)
def test_case_and_separators_do_not_matter(tmp_path, folder, rule):
    (told,) = labelled(tmp_path, [f"{folder}/a.jpg"]).folders
    assert (told.index, told.rule) == (2, rule)


@pytest.mark.parametrize("of_label", ["NFC", "NFD"])
@pytest.mark.parametrize("of_folder", ["NFC", "NFD"])
def test_both_forms_of_an_umlaut_are_one_name(tmp_path, of_label, of_folder):
    names = [unicodedata.normalize(of_label, name) for name in ("Vögel", "Vogel", "Füchse")]
    folders = [unicodedata.normalize(of_folder, name) for name in ("Füchse", "Vögel", "Vogel")]
    assert list(of_folders(tmp_path, folders, names).values()) == [
        index for _, index in sorted(zip(folders, (2, 0, 1), strict=True))
    ]


def test_an_exact_name_comes_before_one_in_another_spelling(tmp_path):
    assert of_folders(tmp_path, ["polish", "Polish"], ["polish", "Polish"]) == {"Polish": 1, "polish": 0}


def test_imagenets_names_are_found_by_one_of_their_synonyms(tmp_path):
    names = ["tench, Tinca tinca", "goldfish, Carassius auratus", "dog, cat"]
    assert of_folders(tmp_path, ["Tinca tinca", "goldfish", "dog, cat"], names) == {
        **{"Tinca tinca": 0, "goldfish": 1},
        "dog, cat": 2,
    }


def test_wordnet_ids_are_found_by_an_index_file_of_any_subset(tmp_path):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"0": ["n07", "z"], "1": ["n01440764", "tench"], "2": ["n02", "a"]}))
    photographs = tmp_path / "photographs"
    assert of_folders(photographs, ["n02", "n01440764"], read_labels(path)) == {"n02": 2, "n01440764": 1}
    flat = tmp_path / "flat"
    assert classes(flat, ["n01440764_10026.jpg", "n09_1.jpg"], read_labels(path)) == {
        **{"n01440764_10026.jpg": 1, "n09_1.jpg": UNKNOWN}
    }


def test_folders_below_a_class_belong_to_it(tmp_path):
    assert classes(tmp_path, ["goldfish/summer/0_a.jpg"]) == {"goldfish/summer/0_a.jpg": 1}


@pytest.mark.parametrize("source", ["file", "torchvision"])
def test_a_name_of_two_classes_is_refused_with_both(tmp_path, source):
    said = refusal(tmp_path, ["crane"], ["crane", "heron", "crane"], source)
    assert "class 0 ('crane') and class 2 ('crane')" in said
    assert of_folders(tmp_path / "by index", ["2", "heron"], ["crane", "heron", "crane"], source) == {
        "2": 2,
        "heron": 1,
    }


# By an index


@pytest.mark.parametrize("folders", [["0", "2"], ["00", "01", "02"], ["000", "002"], ["2", "goldfish"]])
def test_a_number_is_an_index_where_it_is_no_name(tmp_path, folders):
    assert of_folders(tmp_path, folders) == {name: 1 if name == "goldfish" else int(name) for name in folders}


@pytest.mark.parametrize(
    ("folders", "names", "both"),
    [
        (["0", "1", "2"], ["zero", "two", "1"], "as the label '1' it is class 2, as an index it is class 1 ('two')"),
        (["000", "001", "002"], ["0", "2", "1"], "as the label '1' it is class 2, as an index it is class 1 ('2')"),
    ],
)
def test_a_number_that_is_a_name_and_another_index_is_refused_with_both(tmp_path, folders, names, both):
    assert both in refusal(tmp_path, folders, names)


@pytest.mark.parametrize("source", ["file", "none"])
def test_unpadded_numbers_have_a_second_reading_in_imagefolders_order(tmp_path, source):
    names = [f"class {index}" for index in range(12)]
    told = labelled(tmp_path, [f"{name}/a.jpg" for name in NUMBERS], names, source)
    order = sorted(NUMBERS)
    assert told.classes.tolist() == [int(name) for name in order]
    assert told.alternative.tolist() == [order.index(name) for name in order]


@pytest.mark.parametrize(
    ("folders", "source"), [([f"{index:02d}" for index in range(12)], "none"), (NUMBERS, "torchvision")]
)
def test_padded_numbers_and_those_of_published_classes_have_one_reading(tmp_path, folders, source):
    told = labelled(tmp_path, [f"{name}/a.jpg" for name in folders], [f"name {name}" for name in NUMBERS], source)
    assert told.classes.tolist() == [int(name) for name in sorted(folders)]
    assert not told.alternative_folders


# Labels were given, and a folder matches none


@pytest.mark.parametrize(
    ("folders", "names", "said"),
    [
        (["cats", "dogs"], ["dog", "cat"], "cats (nearest: cat), dogs (nearest: dog) match no label of the label file"),
        (["tench", "grate white shark"], NAMES, "grate white shark (nearest: great white shark) match no label"),
        (["a", "b", "c", "d", "e"], NAMES, "a, b, c and 2 more match no label"),
        (["1", "2", "3"], NAMES, "class folder(s) 1, 2, 3 match no label"),
        (["tench", "3"], NAMES, "class folder(s) 3 match no label"),
        (["train", "val"], ["dog", "cat"], "set `accuracy.labelled` to"),
        (["n01440764", "n01443537", "n01484850"], NAMES, "n01440764, n01443537, n01484850 match no label"),
    ],
)
def test_folders_that_match_no_label_are_named(tmp_path, folders, names, said):
    assert said in refusal(tmp_path, folders, names)


@pytest.mark.parametrize("source", ["torchvision", "file"])
def test_a_folder_beside_those_of_classes_is_named(tmp_path, source):
    assert "grate white shark (nearest: great white shark)" in refusal(
        tmp_path, ["tench", "goldfish", "grate white shark"], source=source
    )


def test_class_folders_one_level_too_deep_are_told_with_the_folder_to_name(tmp_path):
    paths = ["flowers/tench/a.jpg", "flowers/goldfish/b.jpg"]
    with pytest.raises(SlipwayError, match=rf"set `accuracy\.labelled` to {tmp_path}/flowers"):
        classes(tmp_path, paths)


# Nobody gave labels


def test_a_folder_for_each_class_is_read_in_imagefolders_order(tmp_path):
    assert of_folders(tmp_path, ["n02", "n03", "n01"], source="torchvision") == {"n01": 0, "n02": 1, "n03": 2}
    assert of_folders(tmp_path / "more", ["b", "a", "B"], source="none") == {"B": 0, "a": 1, "b": 2}


def test_folders_from_class_1_on_are_in_that_order_where_nobody_named_the_classes(tmp_path):
    made_up = [f"class {index}" for index in range(3)]
    assert of_folders(tmp_path, ["class_1", "class_2", "class_3"], made_up, "none") == {
        "class_1": 0,
        "class_2": 1,
        "class_3": 2,
    }


def test_an_empty_folder_is_a_class_in_that_order(tmp_path):
    (tmp_path / "b").mkdir()
    assert of_folders(tmp_path, ["c", "a"], source="none") == {"a": 0, "c": 2}


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".git", "__MACOSX"])
@pytest.mark.parametrize("source", ["file", "none"])
def test_hidden_folders_and_files_are_no_classes(tmp_path, hidden, source):
    paths = ["tench/a.jpg", "goldfish/a.jpg", "great white shark/a.jpg", f"{hidden}/x.jpg", "tench/._a.jpg"]
    assert classes(tmp_path, paths, source=source) == {
        "tench/a.jpg": 0,
        "goldfish/a.jpg": 1,
        "great white shark/a.jpg": 2,
    }


def test_fewer_folders_than_classes_tell_nothing(tmp_path):
    assert classes(tmp_path, ["n01/0_a.jpg", "n02/1_a.jpg"], source="none") == {
        **{"n01/0_a.jpg": UNKNOWN, "n02/1_a.jpg": UNKNOWN}
    }


def test_parts_of_a_data_set_are_no_classes(tmp_path):
    with pytest.raises(SlipwayError, match=rf"train, val of .* parts of a data set.* such as {tmp_path}/val"):
        of_folders(tmp_path, ["train", "val"], ["a", "b"], "none")


def test_numbers_from_one_on_have_a_second_reading_where_orders_differ(tmp_path):
    assert not labelled(tmp_path / "few", ["1/a.jpg", "2/a.jpg", "3/a.jpg"], source="none").alternative_folders
    folders = [str(number) for number in range(1, 13)]
    names = [f"class {index}" for index in range(12)]
    told = labelled(tmp_path / "many", [f"{name}/a.jpg" for name in folders], names, "none")
    assert told.classes.tolist() == list(range(12)), "in the order of the folders' names"
    assert told.alternative.tolist() == [int(name) - 1 for name in sorted(folders)]


# By file names


@pytest.mark.parametrize("source", ["file", "none"])
def test_a_file_name_that_starts_with_an_index(tmp_path, source):
    assert classes(tmp_path, ["2_a.jpg", "0_b.jpg", "001_c.jpg"], source=source) == {
        **{"2_a.jpg": 2, "0_b.jpg": 0, "001_c.jpg": 1}
    }
    assert classes(tmp_path / "shards", ["all/2_a.jpg", "all/0_b.jpg"], source=source) == {
        **{"all/2_a.jpg": 2, "all/0_b.jpg": 0}
    }


def test_the_folder_comes_before_the_file_name(tmp_path):
    assert classes(tmp_path, ["goldfish/2_a.jpg", "2/0001_a.jpg", "1_a.jpg"]) == {
        **{"goldfish/2_a.jpg": 1, "2/0001_a.jpg": 2, "1_a.jpg": 1}
    }


def test_the_counts_in_folders_that_match_no_label_are_no_classes(tmp_path):
    with pytest.raises(SlipwayError, match=r"cats \(nearest: cat\), dogs \(nearest: dog\) match no label"):
        classes(tmp_path, ["cats/0_a.jpg", "cats/1_a.jpg", "dogs/0_a.jpg"], ["dog", "cat"])


@pytest.mark.parametrize("path", ["a.jpg", "3_a.jpg", "12.jpg", "n01_12.jpg", "_1.jpg", "2019_holiday.jpg"])
def test_what_tells_nothing_is_unknown(tmp_path, path):
    assert classes(tmp_path, [path]) == {path: UNKNOWN}


def test_the_record_says_by_what_each_folder_was_told_and_how_many_photographs_it_has(tmp_path):
    paths = ["goldfish/a.jpg", "goldfish/deep/b.jpg", "Tench/a.jpg", "2/a.jpg", "1_a.jpg", "b.jpg"]
    assert labelled(tmp_path, paths).record == [
        {"folder": "2", "class": 2, "label": "great white shark", "rule": "index", "photographs": 1},
        {"folder": "Tench", "class": 0, "label": "tench", "rule": "name in another spelling", "photographs": 1},
        {"folder": "goldfish", "class": 1, "label": "goldfish", "rule": "name", "photographs": 2},
        {"folder": None, "class": None, "label": None, "rule": "file name", "photographs": 1},
    ]
