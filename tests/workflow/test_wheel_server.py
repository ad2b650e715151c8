"""The Triton of nvidia-pytriton, odd paths, HTTP from strangers, shared memory, dead proxies."""

import socket
import struct
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton
from helpers.artifacts.training import RECEIPT, RESULTS, WEIGHTS, Training, options
from helpers.patience import PATIENCE_S
from helpers.workplace import CLOSED_PROXIES, ODD, Workplace
from PIL import Image
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from slipway.core.artifacts import read_json, write_json
from slipway.triton.client.ports import Ports
from slipway.triton.server.restricted_apis import key_of

pytestmark = pytest.mark.slow

CHUNKS = 700_000
REGISTER = "/inference.GRPCInferenceService/SystemSharedMemoryRegister"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with an odd name in which a tiny model is served, in the C locale and past dead proxies."""
    folder = tmp_path_factory.mktemp("odd") / f"{ODD}:c"
    folder.mkdir()
    found = Workplace(folder)
    found.environment = CLOSED_PROXIES | {"LC_ALL": "C"}
    found.trainings = [Training(folder / f"training {seed}", seed) for seed in range(2)]
    found.served_at = replace(Ports.free(), http=None)
    found.program("deploy", *options(found, found.trainings[0]), **found.environment).succeeded()
    yield found
    found.program("undeploy", "--results", RESULTS).succeeded()


def pid_of(place):
    return read_json(place.path(RECEIPT))["contents"]["server"]["pid"]


def flood(port, path, method="POST"):
    """Send a request in 700,000 chunks of one byte; return how the server answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(CHUNKS // 10_000):
            connection.sendall(b"1\r\na\r\n" * 10_000)
        connection.sendall(b"0\r\n\r\n")
        return connection.recv(100)


def register_as_written(port, region, headers):
    """Send the call that registers a region with these headers, as no client would; return all that comes back."""

    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    message = service_pb2.SystemSharedMemoryRegisterRequest(name="mine", key=f"/{region}", byte_size=64)
    body = message.SerializeToString()
    usual = {":method": "POST", ":scheme": "http", ":path": REGISTER, ":authority": "x", "te": "trailers"}
    words = [(name.encode(), value.encode()) for name, value in {**usual, "content-type": "application/grpc"}.items()]
    words += [(name.encode(), value.encode()) for name, value in headers.items()]
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in words)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        settings = frame(4, 0, 0, b"")
        call = frame(1, 4, 1, block) + frame(0, 1, 1, b"\0" + struct.pack(">I", len(body)) + body)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + call)
        answer = b""
        while b"grpc-status" not in answer:
            answer += connection.recv(4096)
        return answer


def test_a_model_is_served_switched_and_rolled_back_in_a_folder_whose_name_is_shell(place):
    server = pid_of(place)
    said = place.program("deploy", *options(place, place.trainings[1]), **place.environment).succeeded().said
    assert "testing the new version on a second server first" in said
    place.program("rollback", "--results", RESULTS, **place.environment).succeeded()
    assert pid_of(place) == server
    assert not list(place.folder.parent.rglob("owned"))


def test_status_and_predict_ask_the_server_and_no_proxy(place):
    settings = {"resize": 16, "crop": 16, "mean": [0.5] * 3, "std": [0.2] * 3, "interpolation": "bilinear"}
    write_json(place.path("results/tiny/reference_outputs.json"), {"weights_sha256": WEIGHTS, "key": settings})
    Image.fromarray(np.full((20, 20, 3), 90, dtype=np.uint8)).save(place.path("picture.png"))
    told = place.program("status", "--results", RESULTS, **place.environment).succeeded().said
    assert "answered, 0 failed" in told
    assert "VULNERABLE Triton 24.10, known since 2025-08-04" in told
    assert "HTTP" not in told
    assert "1 answered, 0 not" in place.program("predict", "picture.png", **place.environment).succeeded().said


def test_a_request_of_700000_chunks_finds_nobody_who_would_crash_over_it(place):
    server = psutil.Process(pid_of(place))
    found = server.net_connections(kind="inet")
    listening = {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}
    assert listening == {place.served_at.grpc, place.served_at.metrics}
    assert flood(place.served_at.metrics, "/v2/models/tiny/infer").startswith(b"HTTP/1.1 405")
    assert flood(place.served_at.metrics, "/metrics", "GET").startswith(b"HTTP/1.1 200")
    assert server.is_running()
    assert server.status() != psutil.STATUS_ZOMBIE


def test_no_local_user_registers_shared_memory_whatever_ps_shows_them(place):
    at = place.served_at
    shown = [word for word in psutil.Process(pid_of(place)).cmdline() if "shared-memory:" in word]
    header, _, value = shown[0].rpartition("=")
    header = f"triton-grpc-protocol-{header.partition('shared-memory:')[2]}"
    region = SharedMemory(create=True, size=64)
    try:
        with triton.InferenceServerClient(f"{at.host}:{at.grpc}") as stranger:
            key = {"triton-grpc-protocol-slipway-key": key_of(pid_of(place))}
            for headers in ({}, key):
                with pytest.raises(InferenceServerException, match="protocol is restricted"):
                    stranger.register_system_shared_memory("mine", f"/{region.name}", 64, headers=headers)
            for call in (stranger.get_system_shared_memory_status, stranger.get_cuda_shared_memory_status):
                with pytest.raises(InferenceServerException, match="protocol is restricted"):
                    call()
        assert b"grpc-status\x0214" in register_as_written(at.grpc, region.name, {})
        assert b"grpc-status\x012" in register_as_written(at.grpc, region.name, {header: value})
    finally:
        region.close()
        region.unlink()
    place.program("predict", "picture.png", "--shared-memory").refused("that takes `deploy.shared_memory`")


def test_the_shared_memory_of_a_killed_server_goes_with_the_next_command_and_nobody_elses(place):
    server = psutil.Process(pid_of(place))
    family = [*server.children(recursive=True), server]
    for process in family:
        process.suspend()
    for process in family:
        process.kill()
    psutil.wait_procs(family, timeout=PATIENCE_S)
    own = f"{read_json(place.path(RECEIPT))['contents']['server']['id']}-"
    foreign = SharedMemory(create=True, size=64)
    try:
        assert list(Path("/dev/shm").glob(f"{own}*"))
        place.program("undeploy", "--results", RESULTS).succeeded()
        assert not list(Path("/dev/shm").glob(f"{own}*"))
        assert Path("/dev/shm", foreign.name).exists()
    finally:
        foreign.close()
        foreign.unlink()
