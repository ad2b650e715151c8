import pytest

from slipway.core.errors import SlipwayError
from slipway.engines.build_strategy import require_precision


@pytest.mark.parametrize("layers", [{"fp16": 5}, {"fp16": 5, "fp32": 3, "unknown": 1}])
def test_an_engine_of_the_precision_is_taken(layers, capsys):
    require_precision("fp16", layers)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("layers", [{"fp32": 5}, {"fp16": 5, "fp32": 5}, {"fp16": 2, "int8": 1}, {"unknown": 3}])
def test_an_engine_of_another_precision_is_refused(layers):
    with pytest.raises(SlipwayError, match="should compute in fp16, but its compute layers run in"):
        require_precision("fp16", layers)


@pytest.mark.parametrize(
    ("layers", "unread", "words"),
    [
        ({}, [], "the runtime names no layer that does\n"),
        ({"fused": 2}, [], "the runtime names no layer that does\n"),
        ({"unknown": 1}, ["{"], "its text about 1 layers, `unread_layers` in the build record, could not be read"),
    ],
    ids=["a lookup table", "a Transformer in TensorRT 8", "unreadable"],
)
def test_an_engine_of_which_nothing_is_told_is_taken_with_a_notice(layers, unread, words, capsys):
    require_precision("fp16", layers, unread)
    message = capsys.readouterr().err
    assert "nothing proves that it computes in fp16: the runtime names no layer that does" in message
    assert words in message
