from functools import partial

import pytest

from slipway.core.errors import SlipwayError
from slipway.tools import snakemake_runs
from slipway.tools.snakemake_runs import Outcome


def test_the_runs_take_turns_and_the_first_round_is_not_counted():
    ran = []

    def run(name):
        ran.append(name)
        return Outcome(len(ran), "nothing")  # one second longer every time

    outcomes = snakemake_runs.alternate({name: partial(run, name) for name in "abc"}, 2)
    assert ran == ["a", "b", "c"] * 3
    assert {name: [each.seconds for each in several] for name, several in outcomes.items()} == {
        "a": [4, 7],
        "b": [5, 8],
        "c": [6, 9],
    }


def test_a_failed_run_is_told_with_what_it_said(tmp_path):
    with pytest.raises(SlipwayError, match=r"`snakemake -n evidence` failed; it said:\n"):
        snakemake_runs.snakemake(tmp_path, "-n", "evidence", snakefile=tmp_path / "absent")


def test_a_watched_run_shows_what_it_says(tmp_path, capfd):
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text('rule all:\n    input:\n        "Snakefile",\n', encoding="utf-8")
    assert snakemake_runs.snakemake(tmp_path, "all", snakefile=snakefile, shown=True).seconds > 0
    assert "Nothing to be done" in capfd.readouterr().err


def test_a_watched_run_that_fails_is_told(tmp_path, capfd):
    with pytest.raises(SlipwayError, match="`snakemake deploy` failed; see above"):
        snakemake_runs.snakemake(tmp_path, "deploy", snakefile=tmp_path / "absent", shown=True)
    assert "absent" in capfd.readouterr().err
