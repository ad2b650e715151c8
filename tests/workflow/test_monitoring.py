"""Real Prometheus over the real server: its metrics, the rules and the dashboard on them, an alert that is raised."""

import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass

import pytest
import yaml
from helpers.artifacts.promised import GPU, write_promise
from helpers.models.tiny_engine import tiny_engine
from helpers.patience import PATIENCE_S
from helpers.programs.prometheus import programs_or_skip
from helpers.prometheus_series import expressions

from slipway.core.hardware import gpu_identity
from slipway.deploy.local import reporting
from slipway.monitoring.dashboard import dashboard
from slipway.monitoring.rules import alerting, recording, rule_file
from slipway.monitoring.slo import read_service_level
from slipway.monitoring.traffic import read_traffic
from slipway.triton.client.grpc_client import ModelClient, read_page
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server

pytestmark = pytest.mark.slow

ONLY_ON_A_GPU = re.compile(r"nv_gpu_\w+")


@dataclass(frozen=True)
class Watched:
    """A server, what was promised of its model, and the Prometheus that watches it, if there is one."""

    server: Server
    promise: object
    prometheus: str = ""

    def ask(self, path, **query):
        """Return what Prometheus' HTTP API answers."""
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with without_proxy.open(
            f"{self.prometheus}{path}?{urllib.parse.urlencode(query)}", timeout=PATIENCE_S
        ) as answer:
            return json.load(answer)["data"]

    def values(self, expr):
        """Return the numbers that an expression gives now."""
        found = [float(sample["value"][1]) for sample in self.ask("/api/v1/query", query=expr)["result"]]
        return [value for value in found if value == value]

    def alert(self, name):
        """Return the alert of this name, pending or firing, or None."""
        return next((one for one in self.ask("/api/v1/alerts")["alerts"] if one["labels"]["alertname"] == name), None)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a real server that a client keeps asking."""
    folder = tmp_path_factory.mktemp("served")
    tiny = tiny_engine(folder, "openvino", "uint8")
    served = served_model("tiny", tiny.engine, tiny.contract, 4, 2)
    write_model(folder / "r" / "tiny", served, tiny.engine, tiny.labels)
    installation = find_installation(folder / "w", ServerChoice("wheel"))
    with Server(installation, [folder / "r"], Ports.free(), folder / "server.log") as server:
        server.wait_until_ready(PATIENCE_S)
        asking = threading.Thread(target=keep_asking, args=(server, tiny.batch), daemon=True)
        asking.start()
        yield Watched(server, read_service_level(*write_promise(folder, model="tiny", p99_ms=60_000.0)))
    asking.join(PATIENCE_S)


def keep_asking(server, batch):
    """Send requests until the server is gone."""
    with ModelClient(server.ports, "tiny") as client:
        while server.process.poll() is None:
            try:
                client.infer({"input": batch})
            except Exception:  # it is being stopped
                return
            time.sleep(0.02)


@pytest.fixture(scope="module")
def watched(served, pytestconfig, tmp_path_factory):
    """Return the server with a Prometheus that has its rules and looks every half second."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yaml").write_text(yaml.safe_dump(with_hasty_absence(rule_file(served.promise))), encoding="utf-8")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(served.server.ports)), encoding="utf-8")
    port = Ports.free().http
    options = [
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with open(folder / "log", "wb") as log:
        command = [programs_or_skip(pytestconfig).prometheus, *options]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    found = Watched(served.server, served.promise, f"http://127.0.0.1:{port}")
    try:
        until(lambda: found.values("slipway:request_ms:p99"), why=folder / "log")
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def configuration(ports):
    """Return Prometheus' configuration: one server, half a second between looks."""
    target = {"job_name": "anything", "static_configs": [{"targets": [f"127.0.0.1:{ports.metrics}"]}]}
    looks = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    return {"global": looks, "rule_files": ["rules.yaml"], "scrape_configs": [target]}


def with_hasty_absence(rules):
    """Return the rules with one change: a server that is down is told after two seconds, not after a minute."""
    for rule in rules["groups"][0]["rules"]:
        if rule.get("alert") == "SlipwayServerDown":
            rule["for"] = "2s"
    return rules


def until(happened, why=None):
    """Wait until a question has a true answer, and return that; fail after PATIENCE_S."""
    deadline, problem = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < deadline:
        try:
            answer = happened()
            if answer:
                return answer
        except OSError as error:
            problem = error
        time.sleep(0.1)
    pytest.fail(f"nothing after {PATIENCE_S} s; {problem}; {why.read_text() if why else ''}")


def names_of(page):
    """Return the metrics of a server's page."""
    return set(re.findall(r"^(nv_\w+)", page, re.MULTILINE))


def asked_of_a_server(promise):
    """Return the metrics of Triton that the rules and the dashboard of a promise ask for."""
    asked = [rule["expr"] for rule in [*recording(promise), *alerting(promise)]] + expressions(dashboard(promise))
    return {name for expr in asked for name in re.findall(r"\bnv_\w+", expr)}


def test_the_server_exposes_every_metric_that_is_asked_for(served, tmp_path):
    exposed = names_of(read_page(served.server.ports))
    assert asked_of_a_server(served.promise) <= exposed
    on_gpu = read_service_level(*write_promise(tmp_path, hardware=GPU))
    assert all(ONLY_ON_A_GPU.fullmatch(name) for name in asked_of_a_server(on_gpu) - exposed)


@pytest.mark.gpu
@pytest.mark.skipif(gpu_identity() is None, reason="no NVIDIA GPU here")
def test_a_server_with_a_gpu_exposes_what_is_asked_of_it(served, tmp_path):
    on_gpu = read_service_level(*write_promise(tmp_path, hardware=GPU))
    until(lambda: asked_of_a_server(on_gpu) <= names_of(read_page(served.server.ports)))


def test_the_quantiles_are_those_that_were_asked_for(served):
    traffic = until(lambda: traffic_with_quantiles(served))
    assert set(traffic.quantiles_ms) == {"0.5", "0.9", "0.99"}
    assert 0 < traffic.quantiles_ms["0.5"] <= traffic.quantiles_ms["0.99"]
    assert traffic.failures == 0


def traffic_with_quantiles(served):
    traffic = read_traffic(served.server.ports, "tiny", "1")
    return traffic if traffic.quantiles_ms else None


def test_status_reads_the_real_server(served):
    ports = served.server.ports
    shown = "\n".join(reporting.traffic("tiny", "1", ports))
    assert re.search(r"requests   \d+ answered, 0 failed", shown)
    assert "ABSENT" in reporting.traffic("tiny", "2", ports)[0]
    assert "NOT READY" in reporting.traffic("not there", "1", ports)[0]
    memory = reporting.memory(served.server.process.pid, {"hardware": "a CPU"})
    assert float(re.search(r"([\d.]+) MB", memory)[1]) > 50


def test_prometheus_records_every_rule(watched):
    for rule in recording(watched.promise):
        values = until(lambda name=rule["record"]: watched.values(name))
        assert all(value >= 0 for value in values), rule
    assert until(lambda: [value for value in watched.values("slipway:requests:rate5m") if value > 0])
    assert watched.values("slipway:request_ms:p50") <= watched.values("slipway:request_ms:p99")


def test_prometheus_evaluates_every_rule_without_an_error(watched):
    [group] = watched.ask("/api/v1/rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    assert len(group["rules"]) == len(recording(watched.promise)) + len(alerting(watched.promise))


def test_every_panel_of_the_dashboard_has_data(watched):
    for expr in expressions(dashboard(watched.promise)):
        assert until(lambda asked=expr: watched.values(asked)), expr


def test_a_server_that_does_well_raises_no_alert(watched):
    # A busy machine answers now and then later than Prometheus waits, but soon in time again.
    until(lambda: not watched.ask("/api/v1/alerts")["alerts"])


def firing(watched, name):
    raised = watched.alert(name)
    return raised if raised and raised["state"] == "firing" else None


def test_a_server_that_is_stopped_raises_its_alert(watched):
    """The last of this file, since it stops the server."""
    watched.server.__exit__()
    raised = until(lambda: firing(watched, "SlipwayServerDown"))
    assert watched.values('count_over_time(ALERTS{alertname="SlipwayServerDown", alertstate="pending"}[1h])')
    assert raised["labels"]["severity"] == "critical"
    assert f"127.0.0.1:{watched.server.ports.metrics} does not answer" in raised["annotations"]["summary"]
    assert watched.alert("SlipwayModelAbsent"), "pending, or firing after two minutes"
