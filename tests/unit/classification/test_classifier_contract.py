"""The contract of a classifier, and the names of its classes."""

import pytest

from slipway.classification.classifier_contract import class_names
from slipway.core.errors import SlipwayError

SQUEEZENET = {"architecture": "squeezenet1_1", "arguments": {}}


def test_the_classes_of_imagenet_have_torchvisions_names():
    names = class_names(None, 1000, SQUEEZENET)
    assert (names[652], len(names)) == ("military uniform", 1000)


def test_a_configuration_of_transformers_names_its_classes():
    arguments = {"num_labels": 2, "id2label": {"0": "cat", "1": "dog"}}
    assert class_names(None, 2, {"architecture": "transformers:ViT", "arguments": arguments}) == ["cat", "dog"]
    assert class_names(None, 3, {"architecture": "transformers:ViT", "arguments": arguments})[2] == "class 2"


def test_own_names_are_taken(tmp_path, capsys):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcat\r\ndog\r\n".encode())  # as some editors write it
    assert class_names(path, 2, SQUEEZENET) == ["cat", "dog"]
    with pytest.raises(SlipwayError, match=r"names 2 classes, but the model has 3;") as caught:
        class_names(path, 3, SQUEEZENET)
    assert str(path) in str(caught.value)
    assert class_names(path, 1, SQUEEZENET) == ["cat", "dog"], "a single output has a name for its no and its yes"
    path.write_text("cat\ndog\ncat\n", encoding="utf-8")
    assert class_names(path, 3, SQUEEZENET) == ["cat", "dog", "cat"]
    assert "names.txt has cat for more than one class" in capsys.readouterr().err
    path.write_text("cat\n\ndog\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"no name in line 2"):
        class_names(path, 3, SQUEEZENET)
    path.write_bytes("Bär\nKatze\n".encode("latin-1"))
    with pytest.raises(SlipwayError, match=r"names\.txt is not UTF-8 text"):
        class_names(path, 2, SQUEEZENET)
