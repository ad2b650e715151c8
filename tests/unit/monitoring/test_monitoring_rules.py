"""The rules, judged by promtool: each alert in the case it is for, and in those in which it must stay silent."""

import json
import subprocess
from dataclasses import replace

import pytest
import yaml
from helpers.artifacts.promised import CAPACITY, GPU, write_promise
from helpers.programs.prometheus import programs_or_skip
from helpers.prometheus_series import MODEL, STEP_S, A, B, gone_after, growing, healthy, steady, unknown, unloaded_after

from slipway.monitoring.dashboard import dashboard
from slipway.monitoring.rules import alerting, recording, rule_file
from slipway.monitoring.slo import read_service_level

FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


@pytest.fixture(scope="session")
def promtool(pytestconfig):
    return programs_or_skip(pytestconfig).promtool


@pytest.fixture
def promise(tmp_path):
    return read_service_level(*write_promise(tmp_path, hardware=GPU))


OTHERS = [
    {"series": 'up{instance="c:9100",job="node"}', "values": steady(0)},
    {"series": 'nv_inference_request_summary_us{instance="a:8002",model="other",quantile="0.99"}', "values": "9e6x720"},
    {"series": 'nv_inference_pending_request_count{instance="a:8002",model="other"}', "values": "900x720"},
]
NO_TRAFFIC = {name: steady(7) for name in ("success", "count", "exec_count")}
NO_TIMES = {f"{stage}_duration_us": steady(9) for stage in ("request", "queue", "compute_input", "compute_infer")} | {
    "compute_output_duration_us": steady(9),
    "p99": unknown(),
}
SLOW = "SlipwayP99AbovePromise"

# name: (series, minute, alerts that fire then; no other may)
CASES = {
    "quiet": (healthy(), 30, []),
    "quiet, with other jobs and models in trouble": (healthy() + OTHERS, 30, []),
    "nobody asks": (healthy(**NO_TRAFFIC, **NO_TIMES), 150, []),
    "server stops: a moment is no alarm": (gone_after(10), 10.75, []),
    "server stops": (gone_after(10), 11.5, ["SlipwayServerDown"]),
    "server stays away": (gone_after(10), 30, ["SlipwayServerDown", "SlipwayModelAbsent"]),
    "one scrape is missed": (healthy(up=f"{steady(1, 10)} 0 {steady(1)}"), 11.5, []),
    "one of two servers stops": (gone_after(10) + healthy(B), 30, ["SlipwayServerDown"]),
    "no server ever had it": ([{"series": f"up{{{A}}}", "values": steady(1)}], 10, ["SlipwayModelAbsent"]),
    "one of two servers loses the model": (unloaded_after(10) + healthy(B), 30, ["SlipwayModelUnloaded"]),
    "one of two servers lacks the model for three minutes": (unloaded_after(10) + healthy(B), 13, []),
    "the only server loses the model": (unloaded_after(10), 30, ["SlipwayModelUnloaded", "SlipwayModelAbsent"]),
    "a model is exchanged in a minute": (
        healthy(success=f"{growing(300, 10)} _x4 {growing(300)}", count=None),
        13,
        [],
    ),
    "2 % fail": (healthy(failure=growing(6)), 30, ["SlipwayFailures"]),
    "0.5 % fail": (healthy(failure=growing(1.5)), 30, []),
    "everything fails": (healthy(**NO_TRAFFIC, **NO_TIMES, failure=growing(300)), 30, ["SlipwayFailures"]),
    "one request of few fails": (
        healthy(success=growing(0.2), failure=f"{steady(0, 20)} {steady(1)}"),
        24,
        [],
    ),
    "p99 is what the margin allows": (healthy(p99=steady(500_000)), 30, []),
    "p99 is above the promise": (healthy(p99=steady(501_000)), 30, [SLOW]),
    "p99 is above the limit": (healthy(p99=steady(1_001_000)), 30, [SLOW, "SlipwayP99AboveLimit"]),
    "p99 is high for four minutes": (healthy(p99=f"{steady(1e5, 10)} {steady(2e6)}"), 14, []),
    "p99 is above the promise on one of two servers": (healthy() + healthy(B, p99=steady(6e5)), 30, [SLOW]),
    "as many wait as one round takes": (healthy(pending_request_count=steady(16)), 30, []),
    "more wait for four minutes": (healthy(pending_request_count=f"{steady(3, 10)} {steady(99)}"), 14, []),
    "more wait than one round takes": (healthy(pending_request_count=steady(17)), 30, ["SlipwayQueueGrowing"]),
    "waiting takes as long as computing": (healthy(queue_duration_us=growing(50_000 * 300)), 30, []),
    "waiting takes long for seven minutes": (healthy(queue_duration_us=f"{steady(0, 10)} {growing(9e7)}"), 17, []),
    "waiting takes twice as long": (healthy(queue_duration_us=growing(100_500 * 300)), 30, ["SlipwayQueueDominates"]),
    "GPU memory is 94 % full": (healthy(gpu_used=steady(22.5e9)), 30, []),
    "GPU memory is full for seven minutes": (healthy(gpu_used=f"{steady(2e9, 10)} {steady(24e9)}"), 17, []),
    "GPU memory is 97 % full": (healthy(gpu_used=steady(23.3e9)), 30, ["SlipwayGpuMemoryNearlyFull"]),
    "requests end": (healthy(success=f"{growing(300, 20)} {steady(24_000)}"), 100, ["SlipwayNothingServed"]),
    "requests ended just an hour ago": (healthy(success=f"{growing(300, 20)} {steady(24_000)}"), 83, []),
    "requests pause for half an hour": (healthy(success=f"{growing(300, 20)} {steady(24_000)}"), 50, []),
    "the server starts anew and counts from 0": (healthy(success=f"{growing(300, 20)} {growing(300)}"), 30, []),
}


def check(promtool, folder, promise, cases):
    """Let promtool evaluate the rules on the series of each case."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rule_file(promise)), encoding="utf-8")
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP_S}s", "tests": cases}
    (folder / "cases.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", "cases.yaml"], cwd=folder, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def firing(case, series, minute, names):
    """Return the case in which exactly the alerts of these names fire at a minute; promtool tells it by its comment."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    asked = {"expr": f"{FIRING} # {case}", "eval_time": f"{int(minute * 60)}s", "exp_samples": samples}
    return {"interval": f"{STEP_S}s", "input_series": series, "promql_expr_test": [asked]}


@pytest.mark.parametrize("hardware", ["AMD EPYC [avx2] x2", GPU])
def test_promtool_accepts_the_rules(promtool, tmp_path, hardware):
    promise = read_service_level(*write_promise(tmp_path, hardware=hardware, origin="rehearsal"))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule_file(promise)), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(recording(promise)) + len(alerting(promise))} rules found" in done.stdout


def test_without_a_limit_there_is_no_alert_about_it(tmp_path):
    promise = read_service_level(*write_promise(tmp_path, p99_limit_ms=None))
    names = {alert["alert"] for alert in alerting(promise)}
    assert "SlipwayP99AboveLimit" not in names
    assert SLOW in names
    assert "no limit" in json.dumps(dashboard(promise))


def test_exactly_these_alerts_fire_in_each_case(promtool, tmp_path, promise):
    passed, said = check(promtool, tmp_path, promise, [firing(name, *CASES[name]) for name in CASES])
    assert passed, said


@pytest.fixture
def capable(tmp_path):
    """Return the promise of a server that takes 25 requests/s in an open loop, of which a quarter stays free."""
    return read_service_level(*write_promise(tmp_path, hardware=GPU, capacity=CAPACITY), headroom=0.25)


NEAR = "SlipwayNearCapacity"
# 300 requests in a step of 15 s are 20/s, more than 18.75/s.
CASES_OF_CAPACITY = {
    "80 % of the capacity": (healthy(), 30, [NEAR]),
    "two servers share what is too much for one": (
        healthy(success=growing(250)) + healthy(B, success=growing(250)),
        30,
        [],
    ),
    "one of two servers is near its capacity": (healthy(success=growing(100)) + healthy(B), 30, [NEAR]),
    "near the capacity for eight minutes": (healthy(success=f"{growing(100, 10)} {growing(300, start=4000)}"), 18, []),
    "70 % of the capacity, with the p99 of the capacity": (healthy(success=growing(262), p99=steady(599_000)), 30, []),
    "more than the p99 of the capacity": (healthy(success=growing(200), p99=steady(601_000)), 30, [SLOW]),
}


def test_what_the_open_loop_measured_is_what_the_alerts_are_about(promtool, tmp_path, capable):
    cases = [firing(name, *case) for name, case in CASES_OF_CAPACITY.items()]
    passed, said = check(promtool, tmp_path, capable, cases)
    assert passed, said
    [rule] = [rule for rule in alerting(capable) if rule["alert"] == SLOW]
    assert "above the load test's p99, 480 ms at 25 requests/s at random times." in rule["annotations"]["description"]


def test_every_alert_has_a_case_in_which_it_fires(promise, capable):
    assert {rule["alert"] for rule in alerting(promise)} | {NEAR} == {rule["alert"] for rule in alerting(capable)}
    assert {rule["alert"] for rule in alerting(promise)} == {name for *_, names in CASES.values() for name in names}


def test_promtool_finds_an_alert_that_does_not_fire(promtool, tmp_path, promise):
    passed, said = check(promtool, tmp_path, promise, [firing("a quiet one", healthy(), 30, [SLOW])])
    assert not passed
    assert SLOW in said
    assert "a quiet one" in said


def test_promtool_finds_an_alert_that_must_not_fire(promtool, tmp_path, promise):
    series, minute, _ = CASES["p99 is above the promise"]
    passed, said = check(promtool, tmp_path, promise, [firing("a slow one", series, minute, [])])
    assert not passed
    assert SLOW in said


def test_what_an_alert_says(promtool, tmp_path, promise):
    [rule] = [rule for rule in alerting(promise) if rule["alert"] == SLOW]
    said = {**rule["annotations"], "summary": f"{MODEL} answers with p99 640.0 ms; the load test promised 400 ms"}
    expected = {"exp_labels": rule["labels"], "exp_annotations": said}
    case = firing("a slow one", healthy(p99=steady(640_000)), 30, [SLOW])
    case["alert_rule_test"] = [{"eval_time": "30m", "alertname": SLOW, "exp_alerts": [expected]}]
    passed, output = check(promtool, tmp_path, promise, [case])
    assert passed, output


RECORDED = {
    "requests:rate5m": 20,
    "inferences:rate5m": 20,
    "batch_size:mean5m": 2,
    "failures:ratio5m": 0,
    "request_ms:p99": 100,
    "request_ms:mean5m": 61,
    "queue_ms:mean5m": 10,
    "compute_infer_ms:mean5m": 50,
    "queue_to_compute:ratio5m": 10 / 50,
    "pending_requests:max": 3,
    "gpu_memory:ratio": 2 / 24,
}


def test_what_is_recorded(promtool, tmp_path, promise):
    asked = [
        {
            "expr": f"round(max by (model) (slipway:{name}), 1e-6)",
            "eval_time": "30m",
            "exp_samples": [{"labels": f'{{model="{MODEL}"}}', "value": round(value, 6)}],
        }
        for name, value in RECORDED.items()
    ]
    case = {"interval": f"{STEP_S}s", "input_series": healthy(), "promql_expr_test": asked}
    passed, said = check(promtool, tmp_path, promise, [case])
    assert passed, said


def test_of_two_servers_rates_are_added_and_the_slowest_counts(promtool, tmp_path, promise):
    expected = {"slipway:requests:rate5m": 40, "slipway:request_ms:p99": 300, "slipway:queue_ms:mean5m": 10}
    asked = [
        {"expr": name, "eval_time": "30m", "exp_samples": [{"labels": f'{name}{{model="{MODEL}"}}', "value": value}]}
        for name, value in expected.items()
    ]
    series = healthy() + healthy(B, p99=steady(300_000))
    case = {"interval": f"{STEP_S}s", "input_series": series, "promql_expr_test": asked}
    passed, said = check(promtool, tmp_path, promise, [case])
    assert passed, said


@pytest.mark.parametrize(("namespace", "alerts"), [("serving", []), ("staging", [SLOW])])
def test_of_two_namespaces_with_the_model_each_has_its_own_alerts(promtool, tmp_path, promise, namespace, alerts):
    there = replace(promise, namespace=namespace)
    series = healthy(f'{A},namespace="serving"') + healthy(f'{B},namespace="staging"', p99=steady(640_000))
    case = firing(namespace, series, 30, alerts)
    labels = f'slipway:requests:rate5m{{model="{MODEL}", namespace="{namespace}"}}'
    rate = {"expr": "slipway:requests:rate5m", "eval_time": "30m", "exp_samples": [{"labels": labels, "value": 20}]}
    case["promql_expr_test"].append(rate)
    passed, said = check(promtool, tmp_path, there, [case])
    assert passed, said


def test_every_alert_says_how_bad_it_is_what_to_do_and_what_it_comes_from(promise):
    for rule in alerting(promise):
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["labels"]["model"] == MODEL
        assert len(rule["annotations"]["description"]) > 60
        assert all(digest in rule["annotations"]["sha256"] for digest in promise.artifacts.values())
        assert MODEL in rule["annotations"]["summary"]


def test_a_rehearsal_says_so_in_every_alert(tmp_path):
    promise = read_service_level(*write_promise(tmp_path, origin="rehearsal"))
    assert all("random weights" in rule["annotations"]["rehearsal"] for rule in alerting(promise))


def test_without_a_gpu_no_rule_asks_for_one(tmp_path):
    promise = read_service_level(*write_promise(tmp_path))
    assert not [rule for rule in [*recording(promise), *alerting(promise)] if "gpu" in rule["expr"]]


@pytest.mark.parametrize(
    ("queue_ms", "compute_ms", "limit"), [(300.0, 100.0, "6"), (10.0, 100.0, "1"), (0.1, 0.0, "1")]
)
def test_a_queue_is_allowed_twice_what_was_measured_and_what_computing_takes(tmp_path, queue_ms, compute_ms, limit):
    promise = read_service_level(*write_promise(tmp_path, queue_ms=queue_ms, compute_ms=compute_ms))
    [rule] = [rule for rule in alerting(promise) if rule["alert"] == "SlipwayQueueDominates"]
    assert rule["expr"].endswith(f"> {limit}")
