import signal
import socket
import subprocess
import sys

import psutil
import pytest

from slipway.triton.server import Installation, Ports, stop_process

OBEDIENT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
WITH_STUBBORN_CHILD = (
    "import signal, subprocess, sys; "
    f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.PIPE); child.stdout.readline(); "
    "signal.signal(signal.SIGTERM, lambda *_: exit(0)); print(child.pid, flush=True); signal.pause()"
)


@pytest.fixture
def start():
    """Return a function that starts a program and returns it with its first line."""
    started = []

    def run(code: str) -> tuple[subprocess.Popen, str]:
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True))
        return started[-1], started[-1].stdout.readline().strip()

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_free_ports_are_three_and_free():
    ports = Ports.free()
    assert len({ports.http, ports.grpc, ports.metrics}) == 3
    assert ports.taken() == []


def test_a_taken_port_is_seen():
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.grpc)):
        assert ports.taken() == [ports.grpc]


def test_a_port_taken_on_every_address_is_seen():
    ports = Ports.free()
    with socket.create_server(("0.0.0.0", ports.http)):
        assert ports.taken() == [ports.http]


def test_the_command_line(tmp_path):
    server = Installation("tritonserver", native_backends=True, flags=("--first",))
    command = server.command([tmp_path / "a", tmp_path / "b"], Ports(1, 2, 3, "10.0.0.1"), "--last")
    assert command[:2] == ["tritonserver", "--first"]
    assert command[-1] == "--last"
    assert [flag for flag in command if flag.startswith("--model-repository=")] == [
        f"--model-repository={tmp_path / name}" for name in "ab"
    ]
    assert set(command) >= {
        *("--http-port=1", "--grpc-port=2", "--metrics-port=3"),
        *("--http-address=10.0.0.1", "--grpc-address=10.0.0.1", "--metrics-address=10.0.0.1"),
        "--disable-auto-complete-config",
    }
    assert not any(flag.startswith("--model-config-name") for flag in command)


def test_a_server_without_native_backends_is_told_the_other_configuration(tmp_path):
    command = Installation("t", native_backends=False).command([tmp_path], Ports(1, 2, 3))
    assert "--model-config-name=python" in command


def test_stopping_ends_a_process_by_its_signal(start):
    process, _ = start(OBEDIENT)
    stop_process(process.pid, timeout_s=30)
    assert not psutil.pid_exists(process.pid)
    assert process.wait() == 0


def test_stopping_ends_a_process_that_ignores_its_signal(start):
    process, _ = start(STUBBORN)
    stop_process(process.pid, timeout_s=0.2)
    assert not psutil.pid_exists(process.pid)
    assert process.wait() in (0, -signal.SIGKILL)  # psutil may have collected it first


def test_stopping_ends_the_children_too(start):
    process, child = start(WITH_STUBBORN_CHILD)
    stop_process(process.pid, timeout_s=0.5)
    assert not psutil.pid_exists(process.pid)
    assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE


def test_stopping_what_is_gone_is_no_error(start):
    process, _ = start("print('gone')")
    process.wait()
    stop_process(process.pid, timeout_s=1)
