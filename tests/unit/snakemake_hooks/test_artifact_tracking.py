import logging
from types import SimpleNamespace

import pytest
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from slipway.keys.file_hash_cache import FileHashCache
from slipway.snakemake_hooks.artifact_tracking import ArtifactTracking


@pytest.fixture
def tracking(tmp_path, monkeypatch):
    """Return the tracking of a run whose folder for records is a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("a file")
    (tmp_path / "made.json").write_text("{}")
    dag = SimpleNamespace(finished_jobs=[], jobs=[])
    return ArtifactTracking(SimpleNamespace(basedir=tmp_path, dag=dag), False, FileHashCache(), acting=[])


def test_records_that_cannot_be_written_are_told_without_the_errors_number(tracking):
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    try:
        tracking.remember(["made.json"])
    finally:
        logger.removeHandler(handler)
    with pytest.raises(WorkflowError, match="results/ does not take the records") as refused:
        tracking.open()
    for message in [*messages, str(refused.value)]:
        assert "'results" in message
        assert "Errno" not in message
    assert len(messages) == 1
