import json
import threading
from types import SimpleNamespace

import pytest

from slipway.load_test.analyzed_points import (
    EVENT,
    FIGURES,
    MEASURED,
    REUSED,
    Budget,
    RunPlan,
    point_of,
    unless_kept,
)
from slipway.load_test.kept_points import KeptPoints, base_of

CONFIGURATION = {"name": "m_fp32", "max_batch_size": 8, "instance_group": [{"count": 1}]}
ENGINE = SimpleNamespace(record={"files": {"m.fp32.trt": "ab"}})
FIGURES_OF_7 = dict.fromkeys(FIGURES.values(), 7)
STEADY = {"verdict": "steady", "shortened": False, "windows_per_s": [1.0, 2.0], "memory_mb": 9.0}


class Options(dict):
    """perf_analyzer's options, as Model Analyzer has them."""

    update_config = dict.update


def point(concurrency=1, variant="m_fp32_config_0", **changes):
    """Return a point as Model Analyzer has it."""
    options = Options.fromkeys(("batch-size", "measurement-mode", "stability-percentage"), 1)
    options |= {"concurrency-range": concurrency, "measurement-request-count": 999}
    configuration = SimpleNamespace(get_config=lambda: CONFIGURATION | changes)
    model = SimpleNamespace(
        perf_config=lambda: options,
        model_config_variant=lambda: SimpleNamespace(model_config=configuration),
        model_name=lambda: "m_fp32",
        model_variant_name=lambda: variant,
    )
    return SimpleNamespace(model_run_configs=lambda: [model], model_variants_name=lambda: variant)


@pytest.fixture
def kept(tmp_path):
    return KeptPoints(tmp_path / "store")


def looked_up(kept, base="a", requests=30):
    return RunPlan(9, 60, 0, requests, ("key", ""), False, {"m_fp32": base}, str(kept.store))


def read(line):
    """Return the name and the content of the event in a line."""
    return json.loads(line.removeprefix(EVENT))


class Measurement(dict):
    """A measurement of Model Analyzer: all its metrics are 7."""

    def get_non_gpu_metric_value(self, tag):
        return 7


class Manager:
    """Model Analyzer's MetricsManager: it measures, and notes results."""

    def __init__(self):
        self.measured, self.results, self.laid_out = [], [], []
        self._state_manager = SimpleNamespace(default_encode=vars)
        self._result_manager = SimpleNamespace(add_run_config_measurement=lambda *pair: self.results.append(pair[1]))
        self._create_model_variants = self.laid_out.append

    def measure(self, run_config):
        self.measured.append(run_config)
        return Measurement(_model_variants_name=run_config.model_variants_name(), throughput=7)


def run(kept, manager, run_config, capsys, base="a"):
    """Measure a point as Model Analyzer does, pass on what is printed, and return (measurement, line)."""
    measure = unless_kept(Manager.measure, looked_up(kept, base), Budget(60, 9), Measurement)
    measurement = measure(manager, run_config)
    line = capsys.readouterr().out.strip()
    return measurement, line


def test_a_point_is_measured_once(kept, capsys):
    manager = Manager()
    _, line = run(kept, manager, point(2), capsys)
    [event, named] = read(line)
    assert event == MEASURED
    measurement = {"_model_variants_name": "m_fp32_config_0", "throughput": 7}
    assert named == {"key": named["key"], "row": point_of(point(2)) | FIGURES_OF_7, "measurement": measurement}
    kept.keep(named["key"], measurement, STEADY, ENGINE)
    measurement, line = run(kept, manager, point(2, variant="m_fp32_config_default"), capsys)
    assert len(manager.measured) == 1
    # It has the name of this run, where Model Analyzer counts its results and lays out its configuration.
    assert measurement == {"_model_variants_name": "m_fp32_config_default", "throughput": 7} == manager.results[0]
    assert len(manager.laid_out) == 1
    renamed = named["row"] | {"variant": "m_fp32_config_default"}
    assert read(line) == [REUSED, named | {"row": renamed, "measurement": measurement}]
    reused = kept.reuse(named["key"])
    assert reused == STEADY | {"measured_at": reused["measured_at"]}


def test_a_point_that_comes_twice_in_a_run_is_measured_once(kept, capsys):
    manager, budget = Manager(), Budget(60, 3, lambda: 0)
    measure = unless_kept(Manager.measure, looked_up(kept), budget, Measurement)
    first = measure(manager, point(2, variant="m_fp32_config_default"))
    assert measure(manager, point(2)) is first
    assert len(manager.measured) == 1
    assert manager.results == []  # Model Analyzer notes its own measurement once
    assert capsys.readouterr().out.count(EVENT) == 1
    assert budget.share_s() == 20, "the repetition is none of the three points that share the time"


def test_a_measured_point_is_told_and_then_waited_for(kept, capsys):
    """The server may end only after the load test has read its memory and stored the point."""
    told = []

    def wait(key):
        told.append((key, read(capsys.readouterr().out)[1]["key"]))

    measure = unless_kept(Manager.measure, looked_up(kept), Budget(60, 9), Measurement, wait)
    measure(Manager(), point(2))
    [(key, printed)] = told
    assert key == printed


def test_the_wait_ends_when_the_point_is_stored(kept):
    plan = looked_up(kept)
    later = threading.Timer(0.2, kept.keep, ["a", {}, STEADY, ENGINE])
    later.start()
    plan.wait_until_stored("a")
    assert plan.read("a") is not None
    later.join()


def test_the_wait_ends_without_the_load_test_too(kept, monkeypatch):
    monkeypatch.setattr("slipway.load_test.analyzed_points.STORED_S", 0.1)
    looked_up(kept).wait_until_stored("a")
    assert not kept.store.exists()


@pytest.mark.parametrize(
    ("other", "base"),
    [
        (point(4), "a"),
        (point(2, max_batch_size=16), "a"),
        (point(2, dynamic_batching={"max_queue_delay_microseconds": "100"}), "a"),
        (point(2), "another engine"),
    ],
    ids=["load", "batch size", "delay", "engine"],
)
def test_another_point_is_measured(kept, capsys, other, base):
    manager = Manager()
    _, line = run(kept, manager, point(2), capsys)
    kept.keep(read(line)[1]["key"], {}, STEADY, ENGINE)
    run(kept, manager, other, capsys, base)
    assert len(manager.measured) == 2


def test_a_point_without_figures_is_not_kept(kept, capsys):
    measure = unless_kept(lambda *_: None, looked_up(kept), Budget(60, 9), dict)
    assert measure(Manager(), point()) is None
    assert capsys.readouterr().out == ""


def test_a_damaged_file_is_measured_again(kept, capsys):
    manager = Manager()
    (kept.store).mkdir()
    (kept.store / f"{looked_up(kept).key(point())}.json").write_text("{", encoding="utf-8")
    run(kept, manager, point(), capsys)
    assert manager.measured


@pytest.mark.parametrize(("concurrency", "requests"), [(1, 30), (64, 256)])
def test_each_point_has_a_window_of_its_own(kept, concurrency, requests):
    run_config = point(concurrency)
    looked_up(kept).set_window(run_config)
    assert run_config.model_run_configs()[0].perf_config()["measurement-request-count"] == requests


def test_after_a_finished_load_test_only_steady_points_stay(kept):
    rows = {"steady": {}, "noisy": {"verdict": "disturbed"}, "short": {"shortened": True}}
    for key, changes in rows.items():
        kept.keep(key, {}, STEADY | changes, ENGINE)
    # An interrupted one goes on with all of them.
    assert len(list(kept.store.iterdir())) == 3
    (kept.store / "damaged.json").write_text('{"measure', encoding="utf-8")
    (kept.store / "unjudged.json").write_text('{"row": {"shortened": false}}', encoding="utf-8")
    kept.finish()
    assert [path.name for path in kept.store.iterdir()] == ["steady.json"]


def test_the_base_is_the_engine_its_code_its_samples_and_the_conditions(tmp_path):
    folder, samples = tmp_path / "m" / "1", tmp_path / "samples.json"
    folder.mkdir(parents=True)
    files = {folder / "model.plan": "engine", folder / "model.py": "code", samples: "[]"}
    configuration = folder.parent / "config.pbtxt"
    for file, text in {**files, configuration: "max_batch_size: 1"}.items():
        file.write_text(text, encoding="utf-8")
    before = base_of(tmp_path, "m", samples, {"hardware": "L4"})
    configuration.write_text("max_batch_size: 2", encoding="utf-8")
    assert base_of(tmp_path, "m", samples, {"hardware": "L4"}) == before
    assert base_of(tmp_path, "m", samples, {"hardware": "H100"}) != before
    for file, text in files.items():
        file.write_text("another", encoding="utf-8")
        assert base_of(tmp_path, "m", samples, {"hardware": "L4"}) != before
        file.write_text(text, encoding="utf-8")
