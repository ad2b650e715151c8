"""What is told of the answers: a table, a sum, and JSON."""

import json
from pathlib import Path

import numpy as np

from slipway.classification.predictions import Predictions, conclusion, document, table
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import LOGITS


def answered(*batches):
    """Return predictions of so many pictures a request, all of them of class 1 of 3, at 10, 20, ... ms."""
    predictions = Predictions()
    for number, pictures in enumerate(batches, 1):
        files = [Path(f"{number}.{index}.jpg") for index in range(pictures)]
        logits = np.log(np.tile([0.2, 0.7, 0.1], (pictures, 1)))
        request = {"latency_ms": 10.0 * number, "attempts": 1}
        predictions.add(files, logits, LOGITS, ["cat", "dog"], 2, request)
    return predictions


WHO = {"server": "h:8001", "model": "m", "batch": 2, "rehearsal": False}


def test_a_table_names_classes_by_label_and_number():
    assert table(answered(1).pictures, 9) == ["1.0.jpg         10.0 ms  70.0% dog (1), 20.0% cat (0)"]


def test_a_class_beyond_the_labels_has_its_number():
    predictions = Predictions()
    (picture,) = predictions.add([Path("a")], np.float64([[0, 0, 5]]), LOGITS, ["cat"], 1, {"latency_ms": 1.0})
    assert picture["top"][0]["label"] == "class 2"


def test_the_sum_has_percentiles_of_requests_not_of_pictures():
    found = answered(2, 2, 1).summary()
    assert (found["answered"], found["requests"]) == (5, 3)
    assert found["request_ms"] == {"p50": 20.0, "p99": 29.8}
    lines = conclusion(answered(2, 2, 1), WHO)
    assert lines[0].startswith("5 answered, 0 not, by m at h:8001: ")
    assert lines[1:] == ["requests: 3, of up to 2 pictures each; latency p50 20.0 ms, p99 29.8 ms"]
    assert conclusion(answered(1), WHO | {"rehearsal": True})[-1].startswith("REHEARSAL")


def test_no_answer_at_all_is_valid_json(capsys):
    predictions = Predictions()
    predictions.fail([Path("a.jpg"), Path("b.jpg")], SlipwayError("too dark"))
    found = json.loads(document(predictions, WHO))
    assert found["failed"][1] == {"file": "b.jpg", "error": "too dark"}
    assert found["summary"]["request_ms"] == {"p50": None, "p99": None}
    assert "no answer for b.jpg: too dark" in capsys.readouterr().err
    assert len(conclusion(predictions, WHO)) == 1
