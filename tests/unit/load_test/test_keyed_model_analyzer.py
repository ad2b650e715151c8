import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from slipway.load_test.analyzed_points import (
    BEGINS,
    EVENT,
    LEAST_S,
    NO_FIGURES,
    OUT_OF_TIME,
    WINDOWS,
    Budget,
    in_time,
    point_of,
    unless_idle,
)
from slipway.load_test.keyed_model_analyzer import ANY, REQUESTS, Bounded, p99_interval_ms, with_key, with_own_instances

UNSTABLE = "Pass [1] throughput: 9 infer/sec. Avg\nFailed to obtain stable measurement"
PASSES = "".join(
    f"  Pass [{number}] throughput: {number}0.5 infer/sec. Avg latency: 9 usec\n" for number in (1, 2, 3, 4)
)
SUMMARY = "  Client: \n    Avg latency: 9000 usec\n    p50 latency: 8125 usec\n    p90 latency: 9750 usec\n"
BY_REQUESTS = {
    "measurement-mode": "count_windows",
    "measurement-interval": None,
    "measurement-request-count": 30,
    "stability-percentage": 10,
}


class Options(dict):
    """perf_analyzer's options, as Model Analyzer has them."""

    update_config = dict.update


class Runs:
    """Model Analyzer's class PerfAnalyzer, whose perf_analyzer is a process of Python for each kind of window."""

    PA_SUCCESS, PA_FAIL = 0, 1

    def __init__(self, outputs):
        self.options = Options(BY_REQUESTS)
        self._config = SimpleNamespace(model_run_configs=lambda: [SimpleNamespace(perf_config=lambda: self.options)])
        self.outputs, self.calls, self._timeout = outputs, [], 600

    def _get_cmd(self):
        return ["perf_analyzer"]

    def run(self, metrics, env=None):
        self.calls.append((dict(self.options), self._timeout))
        self.output = self.outputs[self.options["measurement-mode"], self.options["stability-percentage"]]
        program = f"print({self.output!r})" if self.output is not None else "import time; time.sleep(600)"
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        return self._poll_perf_analyzer(process)

    def _poll_perf_analyzer(self, process):
        if self.output is None:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(self._timeout)
            process.kill()
            return self.PA_FAIL
        self._output = process.communicate()[0]
        self.options["measurement-request-count"] += 50 * ("obtain stable" in self._output)  # as Model Analyzer does
        return self.PA_FAIL if "Failed" in self._output else self.PA_SUCCESS


class BoundedRuns(Bounded, Runs):
    """What keyed_model_analyzer makes of Model Analyzer's class."""

    logs_requests = False


def events(said):
    """Return the names and contents of the events in an output."""
    return [json.loads(line.removeprefix(EVENT)) for line in said.splitlines() if line.startswith(EVENT)]


def measured(capsys, outputs, seconds=600.0):
    """Return (status, what was reported, the runs, the events) of one point."""
    runs = BoundedRuns(outputs)
    runs.budget = Budget(seconds, points=1)
    status = runs.run(["metric"])
    told = events(capsys.readouterr().out)
    reported = [content for name, content in told if name == WINDOWS]
    # By which Model Analyzer names the measurement; it leaves out the number of requests.
    assert {**runs.options, "measurement-request-count": 30} == BY_REQUESTS
    assert {options["measurement-request-count"] for options, _ in runs.calls} == {30}
    return status, (reported or [None])[0], runs, told


def test_the_last_three_windows_of_a_point_are_reported(capsys):
    status, reported, runs, _ = measured(capsys, {("count_windows", 10): PASSES + SUMMARY})
    assert status == runs.PA_SUCCESS
    agreeing = {"windows_per_s": [20.5, 30.5, 40.5], "unstable": False, "shortened": False, "p50_ms": 8.125}
    assert reported == agreeing | {"p99_interval_ms": None}
    assert len(runs.calls) == 1


def test_windows_that_take_more_than_half_of_the_share_are_shortened(capsys):
    outputs = {("count_windows", 10): None, ("time_windows", ANY): PASSES}
    status, reported, runs, told = measured(capsys, outputs, seconds=2.0)
    assert (status, reported["shortened"], reported["unstable"]) == (runs.PA_SUCCESS, True, False)
    assert [timeout <= 1.0 for _, timeout in runs.calls] == [True, True]
    # Three windows of 1.2 intervals, and a start, fit into the rest of the time.
    assert 3 * 1.2 * runs.calls[1][0]["measurement-interval"] < 1000
    assert [name for name, _ in told] == [OUT_OF_TIME, WINDOWS]


def test_windows_that_do_not_agree_are_kept_and_told(capsys):
    outputs = {("count_windows", 10): UNSTABLE, ("count_windows", ANY): PASSES}
    status, reported, runs, _ = measured(capsys, outputs)
    assert (status, reported["unstable"], reported["shortened"]) == (runs.PA_SUCCESS, True, False)


def test_a_failure_that_time_does_not_mend_is_not_repeated(capsys):
    status, reported, runs, [*_, reason] = measured(capsys, {("count_windows", 10): "Failed to load the model"})
    assert (status, reported, len(runs.calls)) == (runs.PA_FAIL, None, 1)
    assert reason == [NO_FIGURES, {"reason": "perf_analyzer failed: 'Failed to load the model'"}]


def test_a_point_that_takes_all_its_time_without_figures_says_so(capsys):
    outputs = {("count_windows", 10): None, ("time_windows", ANY): None}
    status, _, runs, [*_, told] = measured(capsys, outputs, seconds=2.0)
    reason = "perf_analyzer did not end in its share of the time, 2 s"
    assert (status, told) == (runs.PA_FAIL, [NO_FIGURES, {"reason": reason}])


def test_time_that_a_point_leaves_goes_to_the_others():
    now = [100.0]
    budget = Budget(60, points=3, clock=lambda: now[0])
    assert budget.share_s() == 20
    now[0] += 4
    assert budget.share_s() == 28
    now[0] += 46
    assert budget.share_s() == 10


def model_analyzers_point(instances, in_flight, **configuration):
    config = SimpleNamespace(get_config=lambda: {"instance_group": [{"count": instances}]} | configuration)
    model = SimpleNamespace(
        model_config_variant=lambda: SimpleNamespace(model_config=config),
        perf_config=lambda: {"concurrency-range": in_flight},
        model_name=lambda: "m_fp32",
        model_variant_name=lambda: "m_fp32_config_0",
    )
    return SimpleNamespace(model_run_configs=lambda: [model], name=(instances, in_flight))


def test_a_point_is_named_by_its_configuration():
    delayed = {"max_batch_size": 8, "dynamic_batching": {"max_queue_delay_microseconds": "50"}}
    point = {"variant": "m_fp32_config_0", "model": "m_fp32", "instances": 3, "concurrency": 4}
    assert point_of(model_analyzers_point(3, 4, **delayed)) == point | {"max_batch_size": 8, "queue_delay_us": 50}
    assert point_of(model_analyzers_point(3, 4)) == point | {"max_batch_size": 0, "queue_delay_us": 0}


def test_a_point_that_no_time_is_left_for_starts_no_server(capsys):
    now = [0.0]
    budget = Budget(60, points=3, clock=lambda: now[0])
    execute = in_time(lambda self, run_config: run_config, budget)
    point = model_analyzers_point(1, 2)
    assert execute(None, point) is point
    now[0] += 60 - LEAST_S / 2
    assert execute(None, point) is None
    assert events(capsys.readouterr().out) == [[BEGINS, point_of(point)], [OUT_OF_TIME, {}]]


@pytest.mark.parametrize(
    ("in_flight", "measured"),
    [
        ([1, 2, 4], [(1, 1), (1, 2), (1, 4), (2, 2), (2, 4), (8, 4)]),
        ([1], [(1, 1), (2, 1), (8, 1)]),  # the most in flight are always measured
    ],
)
def test_instances_that_would_have_no_request_are_not_measured(in_flight, measured):
    taken = []
    execute = unless_idle(lambda self, point: taken.append(point.name) or point.name, max(in_flight))
    given = [execute(None, model_analyzers_point(instances, number)) for instances in (1, 2, 8) for number in in_flight]
    assert taken == measured
    assert all(given), "Model Analyzer ends a configuration at a point without a measurement"


def test_a_search_measures_what_it_asks_for():
    execute = unless_idle(lambda self, point: point.name, 0)
    assert [execute(None, model_analyzers_point(8, number)) for number in (1, 2)] == [(8, 1), (8, 2)]


def test_instances_keep_what_config_pbtxt_says_of_them():
    own = {"count": 1, "kind": "KIND_GPU", "profile": ["0", "1"]}
    model = SimpleNamespace(get_default_config=lambda: {"instance_group": [own]})
    configure = with_own_instances(lambda model, parameters, messages: parameters)
    searched = {"instance_group": [{"count": 3, "kind": "KIND_CPU"}], "max_batch_size": 8}
    assert configure(model, searched, []) == {"instance_group": [own | {"count": 3}], "max_batch_size": 8}
    assert configure(model, None, []) == {}


def test_the_interval_of_p99_comes_from_the_requests_of_the_last_three_windows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    requests = [
        {"timestamp": second * 10**9, "response_timestamps": [second * 10**9 + 5_000_000]} for second in range(9)
    ]
    requests[7]["response_timestamps"] = [9 * 10**9]  # after the last window
    requests[8]["response_timestamps"] = []  # not answered
    boundaries = [0, 2 * 10**9, 4 * 10**9, 6 * 10**9, 8 * 10**9]
    content = {"experiments": [{"requests": requests, "window_boundaries": boundaries}]}
    (tmp_path / REQUESTS).write_text(json.dumps(content), encoding="utf-8")
    _, reported, _, _ = measured(capsys, {("count_windows", 10): PASSES})
    assert reported["p99_interval_ms"] == [5.0, None]
    (tmp_path / REQUESTS).write_text('{"experiments": [{"requests": [{"begin": 1}]}]}', encoding="utf-8")
    assert p99_interval_ms(tmp_path / REQUESTS) is p99_interval_ms(tmp_path / "none.json") is None


def test_perf_analyzer_writes_the_times_of_its_requests_if_asked_to_and_to_a_new_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / REQUESTS).write_text("of the point before", encoding="utf-8")
    assert BoundedRuns({})._get_cmd() == ["perf_analyzer"]
    monkeypatch.setattr(BoundedRuns, "logs_requests", True)
    assert BoundedRuns({})._get_cmd() == ["perf_analyzer", f"--profile-export-file={REQUESTS}"]
    assert not (tmp_path / REQUESTS).exists()


def test_each_request_of_the_client_has_the_key():
    class Client:
        def __init__(self, url):
            self.url = url

        def register_plugin(self, plugin):
            self.plugin = plugin

    client = with_key(Client, ("the-name", "the-key"))("here")
    request = SimpleNamespace(headers={"other": "header"})
    client.plugin(request)
    assert (client.url, request.headers) == ("here", {"other": "header", "the-name": "the-key"})
