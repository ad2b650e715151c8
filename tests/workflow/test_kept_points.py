"""A real load test that is interrupted, widened and repeated with another engine: only new points are measured."""

import csv
from functools import cache

import pytest
from helpers.models.tiny_engine import change_record, tiny_engine

import load_test
from slipway.contract.archives import write_samples
from slipway.core.artifacts import read_json, write_json
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version
from slipway.load_test.analyzed_points import FIGURES
from slipway.load_test.kept_points import KeptPoints

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@cache  # each build of an engine has other bytes
def engine_of(seed, folder):
    (folder / f"{seed}").mkdir()
    tiny = tiny_engine(folder / f"{seed}", seed=seed)
    key = read_json(tiny.engine_record)["key"] | {"runtime_version": package_version("openvino")}
    change_record(tiny.engine_record, key=key)
    return tiny


def load_tested(folder, concurrency, seed=0):
    """Load-test the engine of a seed; return {requests in flight: when an earlier run measured it} and the rows."""
    tiny = engine_of(seed, folder)
    write_json(folder / "interface.json", tiny.contract.interface())
    write_samples(folder / "samples.npz", [{"input": tiny.batch}])
    outputs = {name: str(folder / name) for name in ("table", "record", "original", "plots", "kept")}
    command = ["--model", "m", "--hardware", cpu_identity(), "--engine-records", str(tiny.engine_record)]
    command += ["--weights-record", str(tiny.weights_record), "--interface", str(folder / "interface.json")]
    command += ["--samples", str(folder / "samples.npz"), "--max-batch-sizes", "2", "--instances", "1"]
    command += ["--requests", "5", "--concurrency", *map(str, concurrency)]
    command += [word for name, path in outputs.items() for word in (f"--{name}", path)]
    load_test.main(load_test.parse_arguments(command))
    rows = read_json(folder / "record")["measurements"]
    with open(folder / "original", encoding="utf-8", newline="") as file:
        table = list(filter(None, csv.reader(file)))[1:]
    # Model Analyzer's own table has the same figures, rounded to tenths.
    figures = [[row[name] for name in ("concurrency", *FIGURES.values())] for row in rows]
    assert sorted(figures) == [pytest.approx(own, abs=0.051) for own in sorted([*map(float, row[4:])] for row in table)]
    assert all(row["p99_interval_ms"][0] <= 1.01 * row["p99_ms"] for row in rows), "of perf_analyzer's own requests"
    return {row["concurrency"]: row.get("measured_at") for row in rows}, rows


def test_an_interrupted_load_test_goes_on(folder, monkeypatch):
    def keep_and_interrupt(self, *arguments):
        keep(self, *arguments)
        raise KeyboardInterrupt

    keep = KeptPoints.keep
    monkeypatch.setattr(KeptPoints, "keep", keep_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_tested(folder, [1, 2])
    monkeypatch.setattr(KeptPoints, "keep", keep)
    assert not (folder / "record").exists()
    assert len(list((folder / "kept").iterdir())) == 1
    earlier, _ = load_tested(folder, [1, 2])
    assert earlier[1]
    assert not earlier[2]


def test_a_widened_load_test_measures_the_new_points(folder):
    _, rows = load_tested(folder, [1, 2])
    steady = {row["concurrency"]: row for row in rows if row["verdict"] == "steady" and not row["shortened"]}
    earlier, rows = load_tested(folder, [1, 2, 4])
    assert {number for number, measured_at in earlier.items() if measured_at} == set(steady)
    # What was kept is what was measured, in every figure.
    for row in rows:
        if before := steady.get(row["concurrency"]):
            assert {name: row[name] for name in before} == before


def test_another_engine_inherits_nothing(folder):
    load_tested(folder, [1])
    earlier, _ = load_tested(folder, [1], seed=1)
    assert earlier == {1: None}
