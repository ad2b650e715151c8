"""The sample photographs of the report: which answers are the same, and of which models they are shown."""

from dataclasses import asdict

import pytest
from helpers.artifacts import reported, sampled

from slipway.classification.report_photographs import Shown
from slipway.core.artifacts import read_json, write_json
from slipway.outputs.meaning import STATED, Meaning
from slipway.report.page import write_page
from slipway.report.recipe import Recipe


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ([("cat", 0.6), ("dog", 0.4)], [("cat", 0.4), ("dog", 0.3)], True),
        ([("cat", 0.6), ("dog", 0.4)], [("dog", 0.6), ("cat", 0.4)], False),
        ([("positive class", 0.9)], [("positive class", 0.6)], True),
        ([("positive class", 0.9)], [("positive class", 0.1)], False),  # it was a yes, and is a no
    ],
)
def test_the_answer_is_the_same_if_its_class_or_its_only_decision_is(before, after, is_same):
    assert Shown("as it is", "", before, after).is_same == is_same


@pytest.mark.parametrize("kind", ["logits", "tensor"])
def test_the_page_of_a_model_of_photographs_without_classes_shows_no_classes(tmp_path, kind):
    folder = reported.write_records(tmp_path)
    contract = read_json(folder / "contract.json")
    contract["outputs"][0]["meaning"] |= asdict(Meaning("tensor", reason=STATED)) if kind == "tensor" else {}
    write_json(folder / "contract.json", contract)
    sampled.write_samples(folder)
    write_page(folder, folder / "report.html", Recipe(reported.ENGINES, reported.VARIANTS, True))
    shown = "The most likely class is the same for" in (folder / "report.html").read_text(encoding="utf-8")
    assert shown == (kind == "logits")
