import pytest

from check_accuracy import show

SAMPLE = {"min_cosine": 0.99999, "relative_error": 1e-3}
TOP1 = {"pytorch": {"top1": 0.852}, "engine": {"top1": 0.856}}


@pytest.mark.parametrize(
    ("photographs", "words"),
    [
        (None, "no labelled photographs are configured (accuracy.labelled)"),
        ({"images": 50, "labelled": 0}, "none of the 50 photographs tells its class"),
        ({"images": 50, "labelled": 40, "top1_agreement": 0.972, **TOP1}, "40 labelled photographs: top-1 85.6%"),
    ],
)
def test_what_is_proven_is_said(photographs, words, capsys):
    show({"sample": SAMPLE, "photographs": photographs})
    assert words in capsys.readouterr().err
