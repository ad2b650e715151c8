"""Reaching a pod's ports through the API server: with real gRPC and HTTP, many connections at once."""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from helpers.kubernetes_api.parts import connect, objects, stand_in
from helpers.patience import PATIENCE_S

from slipway.cluster.forwarding import forwarded
from slipway.core.errors import SlipwayError

LABELS = {"app.kubernetes.io/name": "resnet50", "app.kubernetes.io/component": "triton"}
METHOD = "/slipway.test.Echo/Say"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with stand_in(tmp_path, monkeypatch) as server:
        connect().apply(objects())
        yield server


@pytest.fixture
def echo():
    """Run a gRPC server that answers with what it is sent, and return its port."""
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    running = grpc.server(ThreadPoolExecutor(8))
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("slipway.test.Echo", {"Say": handler}),))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield port
    running.stop(None).wait()


@contextmanager
def web():
    """Run an HTTP server, and yield its port."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            data = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


@contextmanager
def calling(port):
    """Yield what calls the gRPC server behind a port, over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        yield lambda data: channel.unary_unary(METHOD)(data, timeout=PATIENCE_S, wait_for_ready=True)


def test_grpc_calls_reach_the_pod(server, echo):
    server.forward_to({8001: echo})
    with forwarded(connect(), LABELS, (8001,)) as ports, calling(ports[8001]) as call:
        assert call(b"hello") == b"hello"
        large = bytes(range(256)) * 8000
        assert call(large) == large
    assert server.asked("GET", "/portforward")[0].query == {"ports": "8001"}


def test_many_connections_at_once_keep_apart(server, echo):
    server.forward_to({8001: echo})

    def converse(number):
        with calling(ports[8001]) as call:
            return all(call(text := f"{number}: {turn}".encode() * 500) == text for turn in range(5))

    with forwarded(connect(), LABELS, (8001,)) as ports, ThreadPoolExecutor(8) as clients:
        assert all(clients.map(converse, range(8)))


def test_several_ports_lead_to_their_own(server, echo):
    with web() as http_port:
        server.forward_to({8001: echo, 8000: http_port})
        with forwarded(connect(), LABELS, (8000, 8001)) as ports, calling(ports[8001]) as call:
            assert call(b"grpc") == b"grpc"
            client = http.client.HTTPConnection("127.0.0.1", ports[8000], timeout=PATIENCE_S)
            for path in ("/v2/health/ready", "/metrics"):
                client.request("GET", path)
                assert client.getresponse().read() == path.encode()
            client.close()


def test_the_ports_are_closed_and_no_thread_is_left(server, echo):
    server.forward_to({8001: echo})
    with forwarded(connect(), LABELS, (8001,)) as ports:
        open_connection = socket.create_connection(("127.0.0.1", ports[8001]))
        open_connection.settimeout(PATIENCE_S)
        assert open_connection.recv(1024), "a gRPC server speaks first"
    with open_connection:
        while open_connection.recv(1024):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[8001]))
    server.until(lambda: not threads())


def threads():
    """Return the threads of forwarding that run."""
    ours = ("forwarding of port", "answers of a pod", "Kubernetes port forward proxy")
    return [each for each in threading.enumerate() if each.name.startswith(ours)]


def test_a_connection_that_breaks_is_closed_here(server, echo):
    server.forward_to({8001: echo})
    with (
        forwarded(connect(), LABELS, (8001,)) as ports,
        socket.create_connection(("127.0.0.1", ports[8001])) as client,
    ):
        client.settimeout(PATIENCE_S)
        assert client.recv(1024), "a gRPC server speaks first"
        server.drop_streams()
        while client.recv(1024):
            pass


def test_the_newest_ready_pod_is_taken(server, echo):
    server.forward_to({8001: echo})
    old = next(each for each in server.objects if each["kind"] == "Pod")
    meta = {**old["metadata"], "name": "newest", "creationTimestamp": "2999-01-01T00:00:00Z", "uid": "newest"}
    server.add({**old, "metadata": meta})
    with forwarded(connect(), LABELS, (8001,)):
        pass
    assert "/pods/newest/portforward" in server.asked("GET", "/portforward")[0].path


def failed(labels, *phrases):
    with pytest.raises(SlipwayError) as caught, forwarded(connect(), labels, (8001,)):
        pytest.fail("nothing to reach")
    said = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in said] == [], said


def test_no_ready_pod_is_said_with_what_there_is(server):
    server.behave("Waiting")
    connect().apply(objects(image="triton:newer"))
    failed(LABELS, "is ready in the namespace serving", "ContainerCreating")
    failed({"app": "other"}, "no pod of app=other", "there is none")


def test_a_missing_right_to_forward_is_said(server):
    server.deny("get", "pods/portforward")
    failed(LABELS, 'cannot get resource "pods/portforward"', "`kubectl auth can-i create pods/portforward")
