"""Snakemake finds the page and the index stale when the history got a line, unless a command has written them anew."""

import pytest
from helpers.artifacts import reported, runs, sampled
from helpers.workplace import Workplace, tiny_configuration

from slipway.core.artifacts import sha256
from slipway.history.changes import went_live

MODEL = "resnet50"
PAGES = (f"results/{MODEL}/report.html", "results/index.html")
# Artifacts that the page's rule names, and the records that are made up here have none of.
OTHERS = ("run.json", "weights.safetensors")


@pytest.fixture
def place(tmp_path):
    """Return a folder with the records of a model, in which only the page and the index are made."""
    config = tiny_configuration()
    config["models"] = {MODEL: {"architecture": "resnet18", "weights": "random"}}
    found = Workplace(tmp_path, config)
    folder = reported.write_records(found.path("results"))
    sampled.write_samples(folder)
    for name in OTHERS:
        (folder / name).touch()
    return found


def make(place, *words):
    """Make the index by the rules of the pages alone."""
    return place.snakemake(*words, PAGES[1], "--allowed-rules", "write_report", "write_index").succeeded().said


def go_live(place, when):
    """Record in the history that what was chosen is live, as a deployment does."""
    folder, line = place.path(f"results/{MODEL}"), runs.run(1)
    line["targets"]["cpu"]["records"]["selection"] = sha256(folder / "cpu" / "selection.json")
    went_live({str(folder / "deploy" / "receipt.json"): runs.receipt(line, 1, when)})


def test_the_page_follows_the_history_without_a_loop(place):
    assert "write_report" in make(place)
    assert "Nothing to be done" in make(place, "-n")

    go_live(place, "2026-01-05T10:00:00+00:00")
    said = make(place, "-n")
    assert "write_report" in said, said
    make(place)
    assert "live since 5 January 2026" in place.path(PAGES[0]).read_text(encoding="utf-8")
    assert "Nothing to be done" in make(place, "-n")

    go_live(place, "2026-01-06T10:00:00+00:00")
    before = sha256(place.path(PAGES[0]))
    # Nothing is deployed, so this command only writes the pages anew.
    place.snakemake("undeploy").succeeded()
    assert sha256(place.path(PAGES[0])) != before
    assert "Nothing to be done" in make(place, "-n")

    place.path(PAGES[0]).write_text("edited", encoding="utf-8")
    assert "write_report" in make(place, "-n")
