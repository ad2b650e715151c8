import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.config_duplicates import require_keys_once


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
        require_keys_once(path)
    assert [phrase for phrase in [*phrases, str(path)] if phrase not in str(caught.value)] == []


@pytest.mark.parametrize("text", ["", "a: {x: 1}\nb: {x: 2}\nc: [{x: 1}, {x: 1}]\n", '{"a": {"x": 1}, "x": 2}'])
def test_the_same_key_in_two_mappings_is_no_mistake(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    require_keys_once(path)
