"""The contract of a classifier, and the names of its classes."""

import pytest

from slipway.classification.classifier_contract import class_names
from slipway.core.errors import SlipwayError


def test_the_classes_of_imagenet_have_torchvisions_names():
    names = class_names(None, 1000, "squeezenet1_1")
    assert (names[652], len(names)) == ("military uniform", 1000)


def test_own_names_are_taken(tmp_path, capsys):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcat\r\ndog\r\n".encode())  # as some editors write it
    assert class_names(path, 2, "squeezenet1_1") == ["cat", "dog"]
    with pytest.raises(SlipwayError, match=r"names 2 classes, but the model has 3;") as caught:
        class_names(path, 3, "squeezenet1_1")
    assert str(path) in str(caught.value)
    assert class_names(path, 1, "squeezenet1_1") == ["cat", "dog"], "a single output has a name for its no and its yes"
    path.write_text("cat\ndog\ncat\n", encoding="utf-8")
    assert class_names(path, 3, "squeezenet1_1") == ["cat", "dog", "cat"]
    assert "names.txt has cat for more than one class" in capsys.readouterr().err
    path.write_text("cat\n\ndog\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"no name in line 2"):
        class_names(path, 3, "squeezenet1_1")
    path.write_bytes("Bär\nKatze\n".encode("latin-1"))
    with pytest.raises(SlipwayError, match=r"names\.txt is not UTF-8 text"):
        class_names(path, 2, "squeezenet1_1")
