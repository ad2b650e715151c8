"""Whatever lies in the place of the records that Slipway keeps beside the artifacts, the workflow runs."""

import pytest
from helpers.artifacts.damages import damage
from helpers.workplace import ENGINE_RECORD, REFERENCE

pytestmark = pytest.mark.slow

RECORDS = [
    *(".snakemake/slipway/running.json", ".snakemake/slipway/file_hashes.json"),
    *("results/.server/state.json", "results/.server/published/live.json"),
    *("results/.server/trial/state.json", "results/.server/deploying.lock", "results/tiny/deploy/receipt.json"),
]
NOTES = "results/.provenance"


@pytest.mark.parametrize("content", ["null", None], ids=["null", "folder"])
def test_damaged_records_stop_no_run_and_make_nothing_stale(after_good_run, content):
    for name in RECORDS:
        damage(after_good_run.path(name), content)
    damage(after_good_run.path(f"{NOTES}/artifacts.json"), content)
    damage(after_good_run.path(f"{NOTES}/attempts.json"), content)
    said = after_good_run.snakemake("-n", "deploy").succeeded().said
    assert "Traceback" not in said
    assert "Nothing to be done" in after_good_run.snakemake(REFERENCE, ENGINE_RECORD).succeeded().said


def test_an_artifact_whose_record_of_snakemakes_is_damaged_is_made_again(after_good_run):
    records = [path for path in after_good_run.path(f"{NOTES}/snakemake").rglob("*") if path.is_file()]
    for path in records:
        damage(path, "null")
    said = after_good_run.snakemake("-n", REFERENCE).succeeded().said
    assert f"{REFERENCE} left by a run that failed or was killed" in " ".join(said.split())
