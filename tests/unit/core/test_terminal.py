import pytest

from slipway.core.terminal import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;a title\x07", r"\x1b]0;a title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("nul\x00", r"nul\x00"),
        ("Straße, naïve 雪 🐕\tand\nanother line", "Straße, naïve 雪 🐕\tand\nanother line"),
    ],
)
def test_no_text_from_elsewhere_moves_the_terminals_cursor_or_colours(text, shown):
    assert printable(text) == shown
