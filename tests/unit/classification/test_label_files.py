"""What a label file says is the same, whichever program wrote it."""

import json

import pytest

from slipway.classification.label_files import read_labels
from slipway.core.errors import SlipwayError

ANIMALS = ["cat", "dog", "tench, Tinca tinca"]
IDS = ["n02123045", "n02099601", "n01440764"]


def read(tmp_path, content, name="labels.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path)


def refusal(tmp_path, content, name="labels.txt"):
    with pytest.raises(SlipwayError) as caught:
        read(tmp_path, content, name)
    assert str(tmp_path / name) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "cat\ndog\ntench, Tinca tinca",
        "cat\ndog\ntench, Tinca tinca\n",
        "cat\ndog\ntench, Tinca tinca\n\n \n",
        "cat\r\ndog\r\ntench, Tinca tinca\r\n",
        "cat\rdog\rtench, Tinca tinca\r",
        "\ufeffcat\ndog\ntench, Tinca tinca\n",
        "  cat\t\ndog \ntench,\u00a0Tinca  tinca\n",
        "cat\ndog\ntench,\u2028Tinca\x0btinca\n",  # characters at which splitlines() would begin a fourth class
    ],
    ids=["bare", "newline", "empty lines at the end", "CRLF", "CR", "BOM", "spaces", "other line breaks"],
)
def test_text_has_one_name_a_line(tmp_path, content):
    assert read(tmp_path, content).names == ANIMALS


def test_a_wordnet_id_before_each_name_is_another_name(tmp_path):
    content = "".join(f"{identity} {name}\n" for identity, name in zip(IDS, ANIMALS, strict=True))
    found = read(tmp_path, content)
    assert (found.names, found.ids) == (ANIMALS, [[identity] for identity in IDS])


@pytest.mark.parametrize(
    "document",
    [
        ANIMALS,
        {"dog": 1, "tench, Tinca tinca": 2, "cat": 0},
        {"dog": "1", "tench, Tinca tinca": "2", "cat": "0"},
        {"2": "tench, Tinca tinca", "0": "cat", "1": "dog"},
        {"architectures": ["X"], "id2label": {"0": "cat", "1": "dog", "2": "tench, Tinca tinca"}},
    ],
    ids=["list", "class_to_idx", "class_to_idx as text", "by index", "config of Hugging Face"],
)
@pytest.mark.parametrize("name", ["labels.json", "labels.txt"])
def test_json_tells_the_index_of_each_name(tmp_path, document, name):
    assert read(tmp_path, json.dumps(document), name).names == ANIMALS


def test_keras_index_file_has_ids_and_names(tmp_path):
    document = {str(index): [IDS[index], ANIMALS[index]] for index in (2, 0, 1)}
    found = read(tmp_path, json.dumps(document), "imagenet_class_index.json")
    assert (found.names, found.ids) == (ANIMALS, [[identity] for identity in IDS])


def test_a_mapping_as_python_prints_it(tmp_path):
    assert read(tmp_path, "{0: 'cat',\n 1: 'dog',\n 2: 'tench, Tinca tinca'}").names == ANIMALS


def test_class_to_idx_of_numeric_folders_is_in_imagefolders_order(tmp_path):
    order = sorted(map(str, range(12)))
    document = {name: index for index, name in enumerate(order)}
    assert read(tmp_path, json.dumps(document), "class_to_idx.json").names == order


@pytest.mark.parametrize("lines", [["1 star", "2 stars", "3 stars"], ["0 euro", "1 euro", "2 euro"]])
def test_a_number_that_begins_a_name_is_part_of_it(tmp_path, lines):
    assert read(tmp_path, "\n".join(lines)).names == lines


@pytest.mark.parametrize("lines", [["0: cat", "1: dog"], ["cat,0", "dog,1"], ["cat 0", "dog 1"], ["0. cat", "1. dog"]])
def test_a_number_of_the_line_may_be_left_out_of_a_folders_name(tmp_path, lines):
    found = read(tmp_path, "\n".join(lines))
    assert (found.names, found.ids) == (lines, [["cat"], ["dog"]])


def test_a_number_from_1_on_is_a_name_of_its_class(tmp_path):
    assert read(tmp_path, "1 cat\n2 dog\n").ids == [["cat", "1"], ["dog", "2"]]


def test_names_that_differ_by_their_numbers_alone_stand_in_any_order(tmp_path):
    names = sorted(f"class {index}" for index in range(12))
    assert read(tmp_path, "\n".join(names)).names == names


@pytest.mark.parametrize(
    "lines", ["dog,1 cat,0", "dog\t1 cat\t0", "dog=1 cat=0", "1.dog 0.cat", "1)dog 0)cat", "2,dog 1,cat", "dog,2 cat,1"]
)
def test_numbers_in_another_order_than_the_lines_are_two_readings(tmp_path, lines):
    assert "is class 0 by its line, class 1 by its number" in refusal(tmp_path, "\n".join(lines.split(" ")))


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("1 dog\n0 cat\n", "l.txt", "in two ways: '1 dog' is class 0 by its line, class 1 by its number"),
        (
            '{"0": "1", "1": "2", "2": "0"}',
            "l.json",
            "in two ways: class 0 is '1' as {index: name}, '2' as {name: index}",
        ),
        ("cat\n\ndog\n", "l.txt", "no name in line 2"),
        ("", "l.txt", "has no class names"),
        ("[]", "l.json", "has no class names"),
        ("{}", "l.json", "has no class names"),
        ('{"cat": 0, "cat": 1}', "l.json", "has 'cat' twice"),
        ('{"cat": 0, "dog": 0}', "l.json", "for all indices from 0 to 1"),
        ('{"cat": 0, "dog": 2}', "l.json", "for all indices from 0 to 1"),
        ('{"1": "cat", "2": "dog"}', "l.json", "for all indices from 0 to 1"),
        ('{"cat": true, "dog": false}', "l.json", "for all indices from 0 to 1"),
        ('["cat", null]', "l.json", "no name for class 1, but None"),
        ('{"cat": 0', "l.json", "is no JSON"),
        ('"cat"', "l.json", "has no class names"),
        ("Bär\n".encode("latin-1"), "l.txt", "is not UTF-8 text"),
        ("cat\n".encode("utf-16"), "l.txt", "is not UTF-8 text"),
    ],
)
def test_a_file_that_does_not_tell_every_class_is_refused(tmp_path, content, name, said):
    assert said in refusal(tmp_path, content, name)
