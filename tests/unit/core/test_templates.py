"""What is inserted into a template of YAML is read from it as it was."""

import pytest

from slipway.core.templates import yaml_documents

SIGNS = {"a new line": "\n", "next line": "\x85", "line separator": "\u2028", "paragraph separator": "\u2029"}
SIGNS |= {"delete": "\x7f", "a C1 control": "\x9b", "a byte order mark": "\ufeff", "beyond 16 bits": "\U0001f6f3"}
SIGNS |= {"umlaut": "\u00fc", "quote": '"', "backslash": "\\", "braces": "{{ other }}", "comment": " # no"}


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_a_value_is_inserted_as_it_is(sign, tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text("{% for name in names %}\n- {name: {{ name }}}\n{% endfor %}\n", encoding="utf-8")
    text = f"before{sign}after"
    assert yaml_documents(template, names=[text, [text]]) == [[{"name": text}, {"name": [text]}]]
