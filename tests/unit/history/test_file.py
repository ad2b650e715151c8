"""The file of a history: nothing is lost, nothing counts twice, whatever was interrupted, copied or put together."""

import json
import multiprocessing

import jsonschema
import pytest
import yaml
from helpers.artifacts import runs
from helpers.file_size_limit import no_file_above

from slipway.core.errors import SlipwayError
from slipway.history import changes
from slipway.history.file import append, read
from slipway.history.lines import SCHEMA, text_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tiny" / "history.jsonl"


def names(path):
    return [run.key for run in read(path).runs]


def test_a_run_that_is_recorded_again_adds_nothing(path):
    first = runs.run(1)
    assert append(path, first)
    before = path.read_bytes()
    assert not append(path, runs.run(1, when="2026-02-01T09:00:00Z"))
    assert path.read_bytes() == before
    assert [run.key for run in read(path).runs] == [first["key"]]


def test_files_of_two_machines_merge_by_concatenation(path, tmp_path):
    shared, here, there = runs.run(1), runs.run(2, "2026-01-12T09:00:00Z"), runs.run(3, "2026-01-08T09:00:00Z")
    other = tmp_path / "other.jsonl"
    for file, own in ((path, here), (other, there)):
        append(file, shared)
        append(file, own)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    assert names(path) == [shared["key"], there["key"], here["key"]]
    assert not read(path).damaged


def test_a_line_after_one_from_the_future_counts_as_later(path, capsys):
    """A clock that was ahead for one run would otherwise keep this run the last one until that time."""
    early, ahead, after = runs.run(1), runs.run(2, "2999-01-12T09:00:00Z"), runs.run(3, "2026-01-19T09:00:00Z")
    deployments = [runs.receipt(line, number) for number, line in enumerate((early, ahead, after), 1)]
    deployments[1]["deployed_at"] = "2999-01-12T10:00:00+00:00"
    for line, receipt in zip((early, ahead, after), deployments, strict=True):
        append(path, line)
        changes.went_live({str(path.parent / "deploy" / "receipt.json"): receipt})
    assert names(path) == [early["key"], ahead["key"], after["key"]]
    history = read(path)
    assert [change.number for change in history.live("local", "cpu")] == [1, 2, 3]
    assert [history.run_of(change, "cpu").key for change in history.deployments] == names(path)
    assert history.runs[-1].when == "2026-01-19T09:00:00Z"
    assert "has a line of 2999-01-12T10:00:00Z, later than the clock" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_last_line_is_replaced_by_the_next_one(path, kept):
    whole, torn, following = (runs.run(number) for number in (1, 2, 3))
    append(path, whole)
    with path.open("a", encoding="utf-8") as file:
        file.write(text_of(torn)[:kept])
    assert names(path) == [whole["key"]]
    assert not read(path).damaged
    append(path, following)
    append(path, torn)
    assert set(names(path)) == {line["key"] for line in (whole, torn, following)}
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
    assert not read(path).damaged


def test_a_last_line_that_only_lacks_its_line_feed_counts(path):
    append(path, runs.run(1))
    path.write_bytes(path.read_bytes().rstrip())
    assert names(path) == [runs.run(1)["key"]]
    append(path, runs.run(2))
    assert len(names(path)) == 2


def test_a_line_after_a_torn_one_of_another_file_counts(path):
    append(path, runs.run(1))
    content = path.read_text(encoding="utf-8")
    path.write_text(content[:100] + content, encoding="utf-8")
    assert names(path) == [runs.run(1)["key"]]
    assert [sentence for sentence in read(path).damaged if "line 1" in sentence]
    path.write_text(content + content[:100] + content.rstrip(), encoding="utf-8")
    append(path, runs.run(2))
    assert len(names(path)) == 2


def test_files_merge_although_the_last_line_of_the_first_one_has_no_line_feed(path):
    lines = [runs.run(number) for number in (1, 2, 3)]
    for line in lines[:2]:
        append(path, line)
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines()), encoding="utf-8")
    assert set(names(path)) == {line["key"] for line in lines[:2]}
    assert not read(path).damaged
    append(path, lines[2])
    assert set(names(path)) == {line["key"] for line in lines}
    assert not read(path).damaged


def test_an_edited_line_is_named_and_the_others_count(path):
    for number in (1, 2):
        append(path, runs.run(number))
    lines = path.read_text(encoding="utf-8").splitlines()
    edited = json.loads(lines[0])
    del edited["targets"]["cpu"]["engines"]["fp32"]["bytes"]
    path.write_text("\n".join([json.dumps(edited), *lines[1:], ""]), encoding="utf-8")
    (sentence,) = read(path).damaged
    assert "line 1" in sentence
    assert "bytes" in sentence
    assert names(path) == [runs.run(2)["key"]]


def test_what_breaks_the_schema_is_not_written(path):
    with pytest.raises(SlipwayError, match="latency_ms"):
        append(path, runs.run(1, targets__cpu__engines__fp32__batches__1__latency_ms=3))
    assert not path.exists()


def test_a_full_disk_loses_nothing(path, monkeypatch):
    append(path, runs.run(1))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slipway.history.file.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append(path, runs.run(2))
    assert path.read_bytes() == before


def test_a_disk_that_takes_half_a_line_loses_nothing(path):
    append(path, runs.run(1))
    before = path.read_bytes()
    with no_file_above(2 * len(before) - 50), pytest.raises(OSError, match="File too large"):
        append(path, runs.run(2))
    assert path.read_bytes() == before


def _append_many(path, numbers):
    for number in numbers:
        append(path, runs.run(number))


def test_programs_that_write_at_once_lose_nothing(path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, range(start, start + 6))) for start in (1, 4, 7)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(names(path)) == 12
    assert len(path.read_text(encoding="utf-8").splitlines()) == 12


def test_deployments_name_the_run_whose_choice_they_serve(path):
    first, second = runs.run(1), runs.run(2, "2026-01-12T09:00:00Z")
    for line in (first, second):
        append(path, line)
    file = path.parent / "deploy" / "receipt.json"
    changes.went_live({str(file): runs.receipt(first, 1)})
    changes.went_live({str(file): runs.receipt(second, 2, "2026-01-12T10:00:00+00:00")})
    back = runs.receipt(first, 1, "2026-01-13T08:00:00+00:00", rolled_back_from=2)
    changes.went_live({str(file): back})
    changes.went_live({str(file): back})
    changes.ended([(file, back)])
    history = read(path)
    assert [each.action for each in history.deployments] == ["deployed", "deployed", "rolled_back", "undeployed"]
    assert [history.run_of(each, "cpu").key for each in history.live("local", "cpu")] == [
        line["key"] for line in (first, second, first)
    ]
    of_first = history.deployments_of(history.runs[0])
    assert [each.action for each in of_first] == ["deployed", "rolled_back"]
    assert of_first[0].targets["cpu"]["triton"] == "2.51.0"


def test_the_schema_is_one_and_describes_each_entry_of_a_line():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = jsonschema.Draft202012Validator(schema)
    whole.validate(runs.run(1))
    assert runs.run(1).keys() | {"after"} == schema["$defs"]["run"]["properties"].keys()
    engine = runs.run(1)["targets"]["cpu"]["engines"]["fp32"]
    assert engine.keys() == schema["$defs"]["engine"]["properties"].keys()


def test_no_file_is_an_empty_history(path):
    history = read(path)
    assert (history.runs, history.deployments, history.damaged) == ([], [], [])
