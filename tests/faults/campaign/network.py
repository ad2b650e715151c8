"""Network: clients that do what no client should, of the live server, while others ask it."""

import contextlib
import os
import socket
import subprocess
import sys
import time

import numpy as np
import tritonclient.grpc as triton
from faults.campaign.fault import fault, faults
from faults.campaign.scene import LIVE, NEXT
from helpers.artifacts.training import RECEIPT
from helpers.workplace import CLOSED_PROXIES
from tritonclient.utils import InferenceServerException

from slipway.classification.task import INPUT
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient


def connections(scene, count, port="grpc"):
    """Open connections, which close when the stack does."""
    stack = contextlib.ExitStack()
    opened = [
        stack.enter_context(socket.create_connection(("127.0.0.1", getattr(scene.ports, port)), timeout=10))
        for _ in range(count)
    ]
    return stack, opened


def asked(scene):
    return triton.InferenceServerClient(f"127.0.0.1:{scene.ports.grpc}")


@faults({"gRPC": "grpc", "metrics": "metrics"})
def a_client_opens_500_connections_to(scene, port):
    stack, _ = connections(scene, 500, port)
    with stack:
        assert "tiny: answers" in scene.run("status").succeeded().said
        scene.deploy(NEXT).succeeded()


HALVES = {
    "half of a preface": b"PRI * HTTP/2.0\r\n",
    "a preface and half of a frame": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x40\x01",
    "half of an HTTP request": b"POST /v2/models/tiny/infer HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n{",
    "a hello of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@faults(HALVES)
def fifty_clients_send_and_then_nothing(scene, half):
    for port in ("grpc", "metrics"):
        stack, opened = connections(scene, 50, port)
        with stack:
            for each in opened:
                each.sendall(half)
            assert scene.serving()[0] == LIVE
            assert "tiny: answers" in scene.run("status").succeeded().said


@fault
def noise_comes_to_every_port(scene):
    for port in ("grpc", "metrics"):
        for _ in range(20):
            stack, (one,) = connections(scene, 1, port)
            with stack, contextlib.suppress(OSError):
                one.sendall(os.urandom(100_000))
    assert scene.serving()[0] == LIVE


@fault
def the_metrics_are_asked_in_700000_chunks(scene):
    stack, (one,) = connections(scene, 1, "metrics")
    with stack, contextlib.suppress(OSError):
        one.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(70):
            one.sendall(b"1\r\na\r\n" * 10_000)
    assert scene.serving()[0] == LIVE


@fault
def a_slow_reader_takes_the_metrics_a_byte_at_a_time(scene):
    stack, opened = connections(scene, 20, "metrics")
    with stack:
        for one in opened:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        scene.deploy(NEXT).succeeded()


WRONG = {
    "a batch of 4000": np.zeros((4000, 3, 16, 16), np.uint8),
    "a batch of 5": np.zeros((5, 3, 16, 16), np.uint8),
    "a batch of none": np.zeros((0, 3, 16, 16), np.uint8),
    "another shape": np.zeros((1, 3, 17, 16), np.uint8),
    "another type": np.zeros((1, 3, 16, 16), np.float32),
    "too few axes": np.zeros((1,), np.uint8),
}


@faults(WRONG)
def a_client_sends(scene, batch):
    with ModelClient(scene.ports, "tiny", 10) as client:
        for _ in range(20):
            try:
                client.infer({"input": batch})
            except SlipwayError:
                continue
            raise AssertionError("it was answered")
    assert scene.serving()[0] == LIVE


@fault
def a_client_sends_fewer_bytes_than_its_shape_says(scene):
    for count in (0, 1, 10_000_000):
        tensor = triton.InferInput(INPUT, [1, 3, 16, 16], "UINT8")
        tensor._raw_content = b"x" * count
        with asked(scene) as client, contextlib.suppress(InferenceServerException):
            client.infer("tiny", [tensor], client_timeout=10)
            raise AssertionError("it was answered")
    assert scene.serving()[0] == LIVE


@fault
def a_client_sends_400_megabytes(scene):
    with ModelClient(scene.ports, "tiny", 20) as client:
        try:
            client.infer({"input": np.zeros((400, 3, 600, 600), np.uint8)})
        except SlipwayError:
            pass
        else:
            raise AssertionError("it was answered")
    assert scene.serving()[0] == LIVE


def unload(client):
    client.unload_model("tiny", client_timeout=10)


def load(client):
    client.load_model("tiny", client_timeout=10)


def load_with_a_configuration(client):
    client.load_model("tiny", config="{}", client_timeout=10)


def register_shared_memory(client):
    client.register_system_shared_memory("mine", "/mine", 64, client_timeout=10)


def see_shared_memory(client):
    client.get_system_shared_memory_status(client_timeout=10)


def trace(client):
    client.update_trace_settings(settings={"trace_level": "TIMESTAMPS"}, client_timeout=10)


def log_to_a_file(client):
    client.update_log_settings({"log_file": "/tmp/owned"}, client_timeout=10)


STRANGERS = [unload, load, load_with_a_configuration, register_shared_memory, see_shared_memory, trace, log_to_a_file]


@faults({each.__name__.replace("_", " "): each for each in STRANGERS})
def a_stranger_without_the_key_wants_to(scene, wish):
    with asked(scene) as client:
        try:
            wish(client)
        except InferenceServerException:
            pass
        else:
            raise AssertionError("it was done")
    assert scene.serving()[0] == LIVE


# Asks as fast as it can until it is killed in the middle.
ASKING = """
import sys, numpy, tritonclient.grpc as triton
client = triton.InferenceServerClient(f"127.0.0.1:{sys.argv[1]}")
tensor = triton.InferInput("input", [4, 3, 16, 16], "UINT8")
tensor.set_data_from_numpy(numpy.zeros((4, 3, 16, 16), "uint8"))
print("asks", flush=True)
while True:
    for _ in range(50):
        client.async_infer("tiny", [tensor], lambda result, error: None)
    client.infer("tiny", [tensor])
"""


@fault
def clients_are_killed_while_they_wait_for_answers(scene):
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", ASKING, str(scene.ports.grpc)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        process.stdout.readline()
        time.sleep(0.3)
        scene.kill_client(process)
    assert scene.serving()[0] == LIVE


@fault
def a_client_floods_the_server_while_a_version_is_deployed(scene):
    process = subprocess.Popen([sys.executable, "-c", ASKING, str(scene.ports.grpc)], stderr=subprocess.DEVNULL)
    try:
        scene.deploy(NEXT)
    finally:
        scene.kill_client(process)


@fault
def proxies_stand_in_the_environment_of_every_command(scene):
    for program in ("status", "deploy", "rollback", "status"):
        scene.run(program, **CLOSED_PROXIES, no_proxy="", NO_PROXY="").succeeded()


@fault
def the_receipt_sends_everybody_to_another_port(scene):
    path = scene.path(RECEIPT)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f'"grpc": {scene.ports.grpc}', '"grpc": 1'), encoding="utf-8")
    scene.run("status").succeeded()
    scene.rollback()
