import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.config_text import read_tree

DOUBLING = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
UNREADABLE = {
    "UTF-16": ("models: {}\n".encode("utf-16"), "not text in UTF-8 (line 1)"),
    "Latin-1": ("models: {}\nimage: Straße.jpg\n".encode("latin-1"), "not text in UTF-8 (line 2)"),
    "noise": (bytes(range(256)) * 4, "not text in UTF-8"),
    "control characters": (b"image: a\x00b\n", "no valid YAML"),
    "a tab for indentation": (b"models:\n\ta: {}\n", "line 2, column 1"),
    "an open bracket": (b"models: {a: [}\n", "line 1"),
    "two documents": (b"models: {}\n---\ntargets: {}\n", "line 2"),
    "an alias to nothing": (b"models: *a\n", "undefined alias"),
    "an alias that contains itself": (b"models: &a {b: [*a]}\n", "contains itself"),
    "an alias that is its own item": (b"models: &a [*a]\n", "contains itself"),
    "aliases of aliases": (DOUBLING.encode(), "more than 20000 values"),
    "nesting": (b"models: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "a list": (b"- models\n", "must hold keys"),
    "one word": (b"models\n", "must hold keys"),
    "nothing": (b"", "must hold keys"),
    "a comment alone": (b"# models\n", "must hold keys"),
    "two megabytes": (b"#" * (2 << 20), "is no configuration"),
}


@pytest.mark.parametrize(("content", "phrase"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_is_no_configuration_is_told_in_a_sentence(tmp_path, content, phrase):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(SlipwayError) as caught:
        read_tree(path)
    assert phrase in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["models: {}\n", "\ufeffmodels: {}\n", "a: &a {x: 1}\nb: *a\nc: *a\n", '{"models": {}}', "image: Straße.jpg\n"],
)
def test_an_ordinary_file_is_read(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    read_tree(path)


def test_an_absent_file_is_left_to_snakemake(tmp_path):
    assert read_tree(tmp_path / "config.yaml") is None


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("deploy: {to: local}\nmodels: {}\ndeploy: {}\n", ["`deploy`", "lines 1 and 3"]),
        ("models:\n  a: {input: uint8}\n  b: {}\n  a: {}\n", ["`models.a`", "lines 2 and 4"]),
        ("tensorrt:\n  profiles:\n  - {min: 1, max: 2,\n     min: 3}\n", ["`tensorrt.profiles.min`", "lines 3 and 4"]),
    ],
)
def test_a_key_that_stands_twice_is_told_with_both_lines(tmp_path, text, phrases):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8-sig")
    with pytest.raises(SlipwayError) as caught:
        read_tree(path)
    assert [phrase for phrase in [*phrases, str(path)] if phrase not in str(caught.value)] == []


@pytest.mark.parametrize("text", ["a: {x: 1}\nb: {x: 2}\nc: [{x: 1}, {x: 1}]\n", '{"a": {"x": 1}, "x": 2}'])
def test_the_same_key_in_two_mappings_is_no_mistake(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    read_tree(path)
