import http.server
import socket
import threading
import urllib.request
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Deadline
from slipway.triton.client.grpc_client import ModelClient, read_metrics
from slipway.triton.client.ports import Ports

PAGE = """# HELP nv_inference_request_success Number of successful inference requests, all batch sizes
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="resnet50_trt",version="1"} 3
nv_inference_request_success{model="resnet50_trt",version="2"} 40
nv_inference_request_success{model="other",version="1"} 500
# HELP nv_inference_request_duration_us Cumulative inference request duration in microseconds
# TYPE nv_inference_request_duration_us counter
nv_inference_request_duration_us{model="resnet50_trt",version="1"} 12345
# HELP nv_inference_request_failure Number of failed inference requests, all batch sizes
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="resnet50_trt",reason="OTHER",version="1"} 1
nv_inference_request_failure{model="resnet50_trt",reason="REJECTED",version="1"} 2
# HELP nv_cpu_utilization CPU utilization rate [0.0 - 1.0]
# TYPE nv_cpu_utilization gauge
nv_cpu_utilization 0.25
"""


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def ports():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Ports(1, 2, server.server_address[1])
        server.shutdown()
        thread.join()


def test_counters_are_read_by_metric_model_and_version(ports):
    found = read_metrics(ports)
    assert found["nv_inference_request_duration_us", "resnet50_trt", "1"] == 12345
    assert found["nv_inference_request_success", "resnet50_trt", "2"] == 40
    assert found["nv_inference_request_success", "other", "1"] == 500


def test_reasons_are_summed(ports):
    assert read_metrics(ports)["nv_inference_request_failure", "resnet50_trt", "1"] == 3


def test_a_metric_of_no_model_is_read(ports):
    assert read_metrics(ports)["nv_cpu_utilization", "", ""] == 0.25


@pytest.mark.parametrize(
    ("model", "counts"), [("resnet50_trt", {"1": 3, "2": 40}), ("other", {"1": 500}), ("unknown", {})]
)
def test_a_client_counts_its_own_models_successes_by_version(ports, model, counts):
    with ModelClient(ports, model) as client:
        assert client.successes_by_version() == counts
        assert [client.successes(version) for version in ("1", "2")] == [counts.get("1", 0), counts.get("2", 0)]


def test_an_answer_that_is_not_counted_yet_is_waited_for(monkeypatch):
    counts = iter([9, 9, 10, 11])
    key = ("nv_inference_request_success", "m", "1")
    monkeypatch.setattr("slipway.triton.client.grpc_client.read_metrics", lambda _: {key: next(counts)})
    with ModelClient(Ports.free(), "m") as client:
        assert client.successes("1", at_least=10) == 10


def test_an_answer_that_is_never_counted_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr("slipway.triton.client.grpc_client.COUNTED_WITHIN_S", 0.05)
    monkeypatch.setattr("slipway.triton.client.grpc_client.read_metrics", lambda _: {})
    with ModelClient(Ports.free(), "m") as client:
        assert client.successes("1", at_least=1) == 0


def test_a_proxy_is_not_asked_for_this_machines_metrics(ports, monkeypatch):
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert read_metrics(ports)["nv_cpu_utilization", "", ""] == 0.25


def test_no_call_waits_for_ever(monkeypatch):
    timeouts = []

    class Stuck:
        def __getattr__(self, _):
            return lambda *_, client_timeout=None, **__: timeouts.append(client_timeout) or MagicMock()

    monkeypatch.setattr("slipway.triton.client.grpc_client.connect", lambda _: Stuck())
    client = ModelClient(Ports(1, 2, 3), "m", deadline_s=7)
    client.require_ready()
    client.metadata()
    client.config()
    client.infer({"input": np.zeros((1, 3, 4, 4), np.float32)})
    assert timeouts == [7] * 6


def test_the_calls_of_one_question_share_its_deadline(monkeypatch):
    now, timeouts = [100.0], []

    class Slow:
        """Takes 2 s for each call."""

        def __getattr__(self, _):
            return self._call

        def _call(self, *_, client_timeout, **__):
            timeouts.append(client_timeout)
            now[0] += 2
            return MagicMock()

    monkeypatch.setattr("slipway.triton.client.connection.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("slipway.triton.client.grpc_client.connect", lambda _: Slow())
    client = ModelClient(Ports(1, 2, 3), "m", Deadline(7))
    client.require_ready()
    client.metadata()
    client.config()
    assert timeouts == [7, 5, 3, 1, 0]


def test_after_the_deadline_of_a_question_each_call_fails():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports, deadline = Ports(0, silent.getsockname()[1], 0), Deadline(0.3)
        with ModelClient(ports, "m", deadline) as client:
            for ask in (client.require_ready, client.metadata, client.config):
                with pytest.raises(SlipwayError, match="does not answer"):
                    ask()
                assert deadline.left_s() == 0


def test_a_page_that_is_none_of_metrics_is_an_error_of_the_operating_system(ports, monkeypatch):
    monkeypatch.setattr(Metrics, "do_GET", lambda handler: handler.send_error(404))
    with pytest.raises(OSError, match="has no metrics: 404 Not Found"):
        read_metrics(ports)
    monkeypatch.setattr(Metrics, "do_GET", lambda handler: handler.wfile.write(b"SSH-2.0\r\n"))
    with pytest.raises(OSError, match="does not speak HTTP"):
        read_metrics(ports)


def test_a_server_that_died_is_told_in_words():
    gone = Ports.free()
    with ModelClient(gone, "m") as client:
        for ask in (client.require_ready, client.metadata, client.config):
            with pytest.raises(SlipwayError, match=f"the server on port {gone.grpc} does not answer"):
                ask()
        with pytest.raises(SlipwayError, match="the metrics of the server that has m cannot be read"):
            client.successes("1")


def test_a_server_that_does_not_answer_is_an_error_of_the_operating_system():
    with pytest.raises(OSError, match="refused"):
        read_metrics(Ports.free())
