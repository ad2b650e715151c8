"""A deployment's last words about outputs, and the page's: what they mean, and whether they prove anything."""

import numpy as np
from helpers.artifacts import reported

from slipway.core.artifacts import read_json, write_json
from slipway.deploy.local.model_store import Published
from slipway.deploy.local.receipts import announce
from slipway.outputs.meaning import Meaning
from slipway.outputs.showing import answer_of
from slipway.outputs.variation import weakness
from slipway.report.measurements import read_evidence
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import Expected

UNKNOWN = Meaning("tensor", because="the meaning of its single output is not known; say `output: sigmoid`")


def announced(meaning, values, capsys, weak=None):
    """Return what is said of a model that was deployed."""
    expected = Expected("m_trt", None, None, ["class 0"], {}, meaning)
    answer = answer_of(np.float32(values), meaning, expected.labels)
    tested = {"latency_ms": 1.0, "server_version": "2.51.0", "weakness": weak, **answer}
    announce(
        [Published(1, {"name": "m_trt", "origin": "checkpoint"}, "sha", expected)],
        [{"smoke_test": tested, "verified": {"runtime": True}}],
        Ports(1, 2, 3),
    )
    return capsys.readouterr().err


def test_a_regression_is_announced_as_a_number_with_the_line_to_add(capsys):
    said = announced(UNKNOWN, [37.25], capsys)
    assert "1 value: 37.25" in said
    assert "numbers that are no class scores (tensor): the meaning of its single output is not known; say " in said
    assert "%" not in said
    assert "class 0" not in said


def test_a_proof_that_shows_little_says_so(capsys):
    assert "CAUTION" not in announced(UNKNOWN, [1.0], capsys)
    weak = weakness(1e-4, {"max_relative_error": 1e-3})
    assert f"CAUTION: {weak}" in announced(UNKNOWN, [1.0], capsys, weak)


def test_the_page_calls_a_regressions_output_no_class(tmp_path):
    folder = reported.write_records(tmp_path)
    golden, weights = (read_json(folder / name) for name in ("golden.json", "weights.json"))
    del golden["top"]
    golden |= {"output": UNKNOWN.record(), **answer_of(np.float32([37.25]), UNKNOWN, [])}
    write_json(folder / "golden.json", golden)
    write_json(folder / "weights.json", weights | {"classes": 1})
    evidence = read_evidence(folder, [], [])
    assert evidence.answer_in_words == "1 value: 37.25"
    assert evidence.values_in_words == "one output"
    assert not evidence.meaning.has_classes
