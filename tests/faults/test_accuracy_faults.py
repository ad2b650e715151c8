"""Labelled photographs that do not fit the model, or that it gets wrong, stop the build."""

import json

import pytest
from helpers.models.colour_network import write_photographs
from helpers.workplace import ACCURACY

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_a_checkpoint_below_the_floor_stops_before_its_engine_is_compared(after_good_run):
    write_photographs(after_good_run.path("photographs"), [str(number) for number in range(12)], each=1)
    after_good_run.configure("accuracy", {"labelled": "photographs", "min_top1": 0.9})
    before = after_good_run.artifacts()

    after_good_run.snakemake(ACCURACY).refused(
        "the model's own top-1 accuracy is", "on 12 labelled photographs, below `accuracy.min_top1`, 90.0%"
    )
    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()

    after_good_run.configure("accuracy.min_top1", None)
    after_good_run.snakemake(ACCURACY).succeeded()
    evaluated = json.loads(after_good_run.path("results/tiny/accuracy.json").read_text(encoding="utf-8"))
    compared = json.loads(after_good_run.path(ACCURACY).read_text(encoding="utf-8"))["evaluation"]
    assert compared["folders"] == evaluated["folders"]
    assert compared["pytorch"]["top1"] == evaluated["top1"]
    assert {each["rule"] for each in evaluated["folders"]} == {"index"}
