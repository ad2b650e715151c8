"""What the rules and the dashboard are made from, and the files that they are written to."""

import itertools
import json
import re
from dataclasses import replace

import pytest
import yaml
from helpers.artifacts.promised import CAPACITY, CPU, GPU, write_promise
from helpers.prometheus_series import expressions

import write_monitoring
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.monitoring.dashboard import dashboard
from slipway.monitoring.rules import alerting, recording
from slipway.monitoring.slo import P99_MARGIN, read_service_level, slowest
from slipway.monitoring.traffic import traffic_of

PAGE = """# TYPE nv_inference_request_success counter
nv_inference_request_success{model="m",version="1"} 900
nv_inference_request_success{model="m",version="2"} 40
nv_inference_request_success{model="other",version="2"} 7000
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="m",reason="OTHER",version="2"} 1
nv_inference_request_failure{model="m",reason="BACKEND",version="2"} 2
# TYPE nv_inference_request_duration_us counter
nv_inference_request_duration_us{model="m",version="2"} 400000
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="m",version="2"} 20000
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="m",version="2"} 3
# TYPE nv_inference_request_summary_us summary
nv_inference_request_summary_us_count{model="m",version="2"} 40
nv_inference_request_summary_us_sum{model="m",version="2"} 400000
nv_inference_request_summary_us{model="m",version="2",quantile="0.5"} 9000
nv_inference_request_summary_us{model="m",version="2",quantile="0.99"} 31500
"""


def written(folder, **promised):
    """Write the rules and the dashboard of a promise; return their paths."""
    folder.mkdir(exist_ok=True)
    selection, index = write_promise(folder, **promised)
    rules, board = folder / "deploy" / "prometheus-rules.yaml", folder / "deploy" / "grafana.json"
    options = {"selections": selection, "indexes": index, "rules": rules, "dashboard": board}
    words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    write_monitoring.main(write_monitoring.parse_arguments(words))
    return rules, board


@pytest.fixture(params=[CPU, GPU], ids=["cpu", "gpu"])
def promise(request, tmp_path):
    return read_service_level(*write_promise(tmp_path, hardware=request.param))


def test_the_promise_is_what_was_measured(tmp_path):
    selection, index = write_promise(tmp_path, p99_ms=100.0, throughput_per_s=50.0)
    promise = read_service_level(selection, index)
    assert (promise.p99_ms, promise.throughput_per_s, promise.p99_limit_ms) == (100, 50, 1000)
    assert promise.p99_alert_ms == 100 * (1 + P99_MARGIN)
    assert promise.most_waiting == 16
    assert promise.artifacts["selection.json"] == sha256(selection)
    assert promise.artifacts["repository.json"] == sha256(index)


@pytest.mark.parametrize("in_open_loop", [True, False])
def test_alerts_and_dashboard_say_that_other_work_disturbed_the_measurement(tmp_path, capsys, in_open_loop):
    capacity = CAPACITY | {"holds_at": CAPACITY["holds_at"] | {"verdict": "disturbed"}} if in_open_loop else None
    verdict = "steady" if in_open_loop else "disturbed"
    disturbed = written(tmp_path / "disturbed", capacity=capacity, verdict=verdict)
    assert "WARNING: other work disturbed the measurement of resnet50_trt" in capsys.readouterr().err
    steady = written(tmp_path / "steady", capacity=CAPACITY, verdict="disturbed") if in_open_loop else written(tmp_path)
    assert "WARNING" not in capsys.readouterr().err
    for files, is_said in ((disturbed, True), (steady, False)):
        alerts = yaml.safe_load(files[0].read_text(encoding="utf-8"))["groups"][0]["rules"]
        described = {rule["alert"]: rule["annotations"]["description"] for rule in alerts if "alert" in rule}
        texts = [described["SlipwayP99AbovePromise"], described["SlipwayP99AboveLimit"], files[1].read_text()]
        assert ["other work disturbed this measurement" in text for text in texts] == [is_said] * 3


def test_servers_of_several_targets_are_held_to_the_slowest(tmp_path):
    promises = []
    for name, hardware, p99_ms in (("h100", GPU, 4.0), ("cpu", CPU, 90.0), ("l4", GPU, 9.0)):
        (tmp_path / name).mkdir()
        promises.append(read_service_level(*write_promise(tmp_path / name, hardware=hardware, p99_ms=p99_ms)))
    assert (slowest(promises).p99_ms, slowest(promises).on_gpu) == (90, True)
    assert slowest(promises[:1]) == promises[0]


def test_a_queue_as_the_load_test_had_it_raises_no_alert(tmp_path):
    assert read_service_level(*write_promise(tmp_path, concurrency=64)).most_waiting == 64


def test_the_longer_queue_of_a_fast_target_raises_no_alert(tmp_path):
    slow = read_service_level(*write_promise(tmp_path, p99_ms=90.0, queue_ms=2.0, compute_ms=20.0))
    fast = replace(slow, p99_ms=12.0, max_batch_size=32, instances=4, queue_ms=6.0, compute_ms=2.0)
    together = slowest([fast, slow])
    assert (together.p99_ms, together.most_waiting, together.queue_to_compute) == (90, 128, 3)
    expressions = {rule["alert"]: rule["expr"] for rule in alerting(together)}
    assert expressions["SlipwayQueueGrowing"].endswith(" > 128")
    assert expressions["SlipwayQueueDominates"].endswith(" > 6")


def test_without_batches_as_many_may_wait_as_there_are_instances_or_requests_in_flight(tmp_path):
    promise = replace(read_service_level(*write_promise(tmp_path)), max_batch_size=0, instances=9)
    assert promise.most_waiting == 9
    assert "9 instances, no batches" in json.dumps(dashboard(promise))


def test_a_repository_of_another_selection_is_refused(tmp_path):
    selection, index = write_promise(tmp_path)
    selection.write_text(selection.read_text(encoding="utf-8").replace("17.4", "99.9"), encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"repository\.json was made from another .*selection\.json than"):
        read_service_level(selection, index)


def test_the_same_measurement_gives_the_same_files_wherever_and_whenever(tmp_path):
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        assert not re.search(r"20\d\d-\d\d-\d\d", path.read_text(encoding="utf-8"))


def test_another_measurement_gives_other_thresholds(tmp_path):
    rules, board = written(tmp_path / "a", p99_ms=80.0)
    assert "> 100\n" in rules.read_text(encoding="utf-8")
    thresholds = [panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in read(board)["panels"][:4]]
    assert {"value": 100, "color": "orange"} in thresholds[3]


def test_the_rule_file_is_plain_yaml(tmp_path):
    rules, _ = written(tmp_path / "a", model="my-model_trt")
    [group] = yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]
    assert group["name"] == "slipway-my-model_trt"
    assert all('{model="my-model_trt"' in rule["expr"] for rule in group["rules"])


def test_a_promise_above_the_limit_draws_the_limit_alone(tmp_path):
    promise = read_service_level(*write_promise(tmp_path, p99_ms=900.0))
    figure = dashboard(promise)["panels"][3]
    assert figure["title"] == "p99"
    steps = figure["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["value"], step["color"]) for step in steps] == [(None, "green"), (1000, "red")]


def test_the_dashboard_asks_only_for_what_is_recorded(promise):
    recorded = {rule["record"] for rule in recording(promise)}
    asked = {name for expr in expressions(dashboard(promise)) for name in re.findall(r"slipway:[\w:]+", expr)}
    assert asked <= recorded
    assert {f"slipway:request_ms:{name}" for name in ("p50", "p90", "p99")} <= asked
    assert bool([name for name in asked if "gpu" in name]) == promise.on_gpu


def test_panels_are_numbered_and_do_not_overlap(promise):
    panels = dashboard(promise)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_thresholds_ascend_as_grafana_wants_them(promise):
    for panel in dashboard(promise)["panels"]:
        first, *others = panel.get("fieldConfig", {"defaults": {"thresholds": {"steps": [{"value": None}]}}})[
            "defaults"
        ]["thresholds"]["steps"]
        assert first["value"] is None
        assert [step["value"] for step in others] == sorted(step["value"] for step in others)


def test_the_dashboard_names_the_artifacts_and_a_rehearsal(tmp_path):
    promise = read_service_level(*write_promise(tmp_path, origin="rehearsal"))
    board = dashboard(promise)
    [text] = [panel["options"]["content"] for panel in board["panels"] if panel["type"] == "text"]
    assert all(digest[:12] in text for digest in promise.artifacts.values())
    assert "REHEARSAL" in text
    assert "rehearsal" in board["tags"]


def test_traffic_is_that_of_one_version_of_one_model():
    traffic = traffic_of(PAGE, "m", "2")
    assert (traffic.requests, traffic.failures, traffic.pending) == (40, 3, 3)
    assert (traffic.mean_ms, traffic.queue_ms) == (10, 0.5)
    assert traffic.quantiles_ms == {"0.5": 9, "0.99": 31.5}


def test_a_version_that_the_server_does_not_have_has_no_traffic():
    assert traffic_of(PAGE, "m", "3") is None


def test_quantiles_of_a_minute_without_requests_are_left_out():
    page = re.sub(r'(quantile="0.\d+"}) \d+', r"\1 Nan", PAGE)
    assert traffic_of(page, "m", "2").quantiles_ms == {}


def test_before_the_first_request_nothing_is_divided_by_zero():
    page = re.sub(r" \d+$", " 0", PAGE, flags=re.MULTILINE)
    traffic = traffic_of(page, "m", "2")
    assert (traffic.requests, traffic.mean_ms, traffic.queue_ms) == (0, 0, 0)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))
