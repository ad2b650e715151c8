"""A deployment's last words about outputs, and the page's: what they mean, and whether they prove anything."""

import numpy as np
from helpers.artifacts import reported

from slipway.core.artifacts import read_json, write_json
from slipway.deploy.announcement import announce
from slipway.outputs.meaning import LOGITS, Meaning
from slipway.outputs.presentation import answer_of
from slipway.outputs.variation import weakness
from slipway.report.measurements import read_measurements

UNKNOWN = Meaning("tensor", reason="the meaning of its single output is not known; say `output: sigmoid`")


def announced(meaning, values, capsys, weak=None, options="", **findings):
    """Return what is said of a model that was deployed."""
    tested = {"latency_ms": 1.0, "server_version": "2.51.0", "weakness": weak}
    answer = {"output": meaning.record(), **answer_of(np.float32(values), meaning, ["class 0"])}
    tested |= {"outputs": {"logits": answer}} | findings
    entry = {"version": "v1", "smoke_test": tested, "verified": {"runtime": True}}
    receipt = {"number": 1, "served_as": "m_trt", "to": "local", "origin": "checkpoint", "place": {}, "contents": {}}
    announce({"m": receipt | {"targets": {"cpu": entry}}}, options)
    return capsys.readouterr().err


def test_a_regression_is_announced_as_a_number_with_the_line_to_add(capsys):
    said = announced(UNKNOWN, [37.25], capsys)
    assert "1 value: 37.25" in said
    assert "numbers that are no class scores (tensor): the meaning of its single output is not known; say " in said
    assert "%" not in said
    assert "class 0" not in said


def test_the_commands_at_the_end_are_about_the_same_configuration(capsys):
    said = announced(UNKNOWN, [1.0], capsys)
    assert "look at it with: snakemake --cores 1 status\n" in said
    assert "stop it with: snakemake --cores 1 undeploy\n" in said
    said = announced(UNKNOWN, [1.0], capsys, options="--configfile mine.yaml")
    assert "look at it with: snakemake --cores 1 status --configfile mine.yaml\n" in said
    assert "stop it with: snakemake --cores 1 undeploy --configfile mine.yaml\n" in said


def test_a_proof_that_shows_little_says_so(capsys):
    assert "CAUTION" not in announced(UNKNOWN, [1.0], capsys)
    weak = weakness({"logits": 1e-4}, {"max_relative_error": 1e-3})
    assert f"CAUTION: {weak}" in announced(UNKNOWN, [1.0], capsys, weak)


def test_the_page_calls_a_regressions_output_no_class(tmp_path):
    folder = reported.write_records(tmp_path)
    reference, contract = (read_json(folder / name) for name in ("reference_outputs.json", "contract.json"))
    reference["outputs"] = {"logits": {"output": UNKNOWN.record(), **answer_of(np.float32([37.25]), UNKNOWN, [])}}
    write_json(folder / "reference_outputs.json", reference)
    contract["outputs"][0] |= {"shape": ["batch", 1], "meaning": UNKNOWN.record()}
    write_json(folder / "contract.json", contract)
    measurements = read_measurements(folder, [], [])
    assert measurements.answer_in_words == "1 value: 37.25"
    assert measurements.tensors_in_words == "one output"
    assert measurements.explanations == [f"Its outputs are {UNKNOWN.in_words}: {UNKNOWN.reason}"]


def test_each_output_of_several_is_announced_by_its_name(capsys):
    outputs = {
        "scores": {"output": LOGITS.record(), **answer_of(np.float32([9, 0]), LOGITS, ["cat", "dog"])},
        "embedding": {"output": UNKNOWN.record(), **answer_of(np.float32([1, 2]), UNKNOWN, [])},
    }
    said = announced(UNKNOWN, [0.0], capsys, outputs=outputs)
    assert "scores: 100.0%  cat (class 0)" in said
    assert "embedding: 2 values: 1, 2" in said
    assert "m_trt answers the first sample in 1.0 ms" in said
