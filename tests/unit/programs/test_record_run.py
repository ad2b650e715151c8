"""A run's line of the history: its figures are those of the records, and it is recorded once."""

import json

import pytest
from helpers.artifacts import reported

from record_run import main, parse_arguments
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.history.file import read
from slipway.history.recorded import recording_number


@pytest.fixture
def folder(tmp_path):
    return reported.write_records(tmp_path)


def record(folder, *more):
    """Record the run; return its line in the history."""
    options = ["--folder", folder, "--history", folder / "history.jsonl", "--output", folder / "run.json"]
    main(parse_arguments([*map(str, options), "--engines", *reported.ENGINES, "--evaluated", *more]))
    return read(folder / "history.jsonl").runs[-1]


def test_the_line_has_the_figures_of_the_records(folder):
    run = record(folder)
    assert run.content == read_json(folder / "run.json")["line"]
    assert run.checkpoint == read_json(folder / "weights.json")["sha256"]
    assert run.content["torch"] == "2.15.0"
    assert run.content["slipway"]["version"]
    assert (run.content["accuracy"]["top1"], run.content["accuracy"]["samples"]) == (0.852, 250)
    gpu = run.targets["l4"]
    assert gpu["hardware"] == reported.GPU
    assert gpu["runtime"] == {"name": "tensorrt", "version": "11.1.0.106"}
    assert gpu["server"] == {"name": "nvidia-pytriton", "version": "0.7.0"}
    assert gpu["selection"]["precision"] == "int8"
    assert gpu["selection"]["throughput_per_s"] == {"value": 1234.5, "low": None, "high": None}
    assert gpu["selection"]["memory_mb"] == 2100.0
    assert gpu["selection"]["p99_interval_ms"] == [9.0, 9.75]
    assert gpu["selection"]["goal"] == "cheapest"
    assert gpu["selection"]["limits"] == {"p99_ms": 1000.0, "memory_mb": None}
    engine = run.served("l4")
    assert engine["build"] == {"way": "partly_cached", "seconds": 41.5}
    assert engine["bytes"] == 51_000_000
    assert engine["batches"]["1"]["latency_ms"] == {"value": 1.0, "low": 0.97, "high": 1.02}
    assert engine["batches"]["1"]["quantity"] == "gpu_graph"
    assert engine["batches"]["8"]["verdict"] == "disturbed"
    assert (engine["accuracy"]["top1"], engine["accuracy"]["agreement"]) == (0.848, 1.0)
    assert run.served("cpu")["accuracy"]["top1"] is None
    assert gpu["baseline"]["batches"]["8"]["latency_ms"]["value"] == 32.0


def test_a_metric_of_the_user_is_in_the_line(tmp_path):
    folder = reported.write_records_of_tensors(tmp_path)
    run = record(folder)
    assert run.served("l4")["accuracy"]["metric"] == {"cosine": 0.998}
    assert run.served("l4")["accuracy"]["agreement"] is None


def test_data_of_a_function_are_known_by_their_values(tmp_path):
    folder = reported.write_records_of_tensors(tmp_path)
    identities = []
    for digest in ("a" * 64, "b" * 64, "a" * 64):
        for path in folder.glob("*/*.accuracy.json"):
            content = read_json(path)
            content["key"]["function"] = "data:samples"
            write_json(path, content | {"samples_sha256": digest})
        identities.append(record(folder).served("l4")["accuracy"]["data"])
    assert identities[0] != identities[1]
    assert len(read(folder / "history.jsonl").runs) == 2, "the third one is the first one"


def test_the_same_measurements_are_recorded_once(folder):
    run = record(folder)
    before = (folder / "history.jsonl").read_bytes()
    assert record(folder, "--recording", "2").key == run.key
    assert (folder / "history.jsonl").read_bytes() == before
    # Another word in a record that was not measured again changes nothing.
    write_json(folder / "reference_outputs.json", read_json(folder / "reference_outputs.json") | {"note": "another"})
    record(folder)
    assert (folder / "history.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["cpu/resnet50.benchmark.json", "weights.json"])
def test_another_measurement_or_checkpoint_is_another_run(folder, name):
    first = record(folder)
    content = read_json(folder / name)
    change = {"sha256": "28b1" * 16} if name == "weights.json" else {"samples_ms": [1.0]}
    write_json(folder / name, content | change)
    weights = {"weights_sha256": read_json(folder / "weights.json")["sha256"]}
    for path in folder.rglob("*.json"):
        if "weights_sha256" in (of_checkpoint := read_json(path)):
            write_json(path, of_checkpoint | weights)
    record(folder)
    assert len(read(folder / "history.jsonl").runs) == 2
    assert first.key in {run.key for run in read(folder / "history.jsonl").runs}


def test_records_that_do_not_belong_together_are_refused(folder):
    path = folder / "cpu" / "analysis" / "analysis.json"
    write_json(path, read_json(path) | {"other": 1})
    with pytest.raises(SlipwayError, match="do not belong together"):
        record(folder)
    assert not (folder / "history.jsonl").exists()


def test_a_lost_line_makes_the_copy_stale_and_is_recorded_again(folder):
    copy, history = folder / "run.json", folder / "history.jsonl"
    assert recording_number(copy, history) == 1
    run = record(folder)
    assert recording_number(copy, history) == 1
    history.unlink()
    assert recording_number(copy, history) == 2
    assert record(folder, "--recording", "2").key == run.key
    assert recording_number(copy, history) == 2
    other = json.loads(json.dumps(run.content)) | {"key": "e" * 64}
    history.write_text(json.dumps(other) + "\n", encoding="utf-8")
    assert recording_number(copy, history) == 3
