import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from slipway.core.errors import SlipwayError
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import LOAD_COMPATIBLE, Installation, find_installation
from slipway.triton.server.on_path import native_backends
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import log_end, stop_process

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
    server = Installation("tritonserver", native_backends=True, folder=tmp_path, flags=("--first",))
    command = server.command([tmp_path / "a", tmp_path / "b"], Ports(1, 2, 3, "10.0.0.1"), "--last")
    assert command[:2] == ["tritonserver", "--first"]
    assert command[-1] == "--last"
    assert [flag for flag in command if flag.startswith("--model-repository=")] == [
        f"--model-repository={name}" for name in "ab"
    ]
    assert set(command) >= {
        *("--http-port=1", "--grpc-port=2", "--metrics-port=3"),
        *("--http-address=10.0.0.1", "--grpc-address=10.0.0.1", "--metrics-address=10.0.0.1"),
        "--disable-auto-complete-config",
    }
    assert not any(flag.startswith("--model-config-name") for flag in command)


def test_a_server_without_native_backends_is_told_the_other_configuration(tmp_path):
    command = Installation("t", native_backends=False, folder=tmp_path).command([tmp_path], Ports(1, 2, 3))
    assert "--model-config-name=python" in command


COMPATIBLE, EXACT = {"builder": {"compatibility": "version"}}, {"runtime": "openvino"}


@pytest.mark.parametrize(
    ("native", "keys", "told"),
    [(True, [EXACT, COMPATIBLE], True), (True, [EXACT], False), (False, [COMPATIBLE], False)],
)
def test_a_server_is_told_to_load_version_compatible_engines_where_it_loads_them_itself(native, keys, told):
    server = Installation("tritonserver", native, Path(), flags=("--first",)).for_engines(keys)
    assert server.flags[0] == "--first"
    assert (LOAD_COMPATIBLE in server.flags) == told


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


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a tritonserver on PATH whose installation has the Python backend and OpenVINO's."""
    program = tmp_path / "opt" / "bin" / "tritonserver"
    for folder in (program.parent, *(tmp_path / "opt" / "backends" / name for name in ("python", "openvino"))):
        folder.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def test_the_backends_of_an_installation(installed):
    assert native_backends(str(installed)) == {"openvino"}


def test_the_backends_of_a_link_are_those_of_its_target(installed, tmp_path):
    link = tmp_path / "elsewhere" / "tritonserver"
    link.parent.mkdir()
    link.symlink_to(installed)
    assert native_backends(str(link)) == {"openvino"}


def test_a_server_on_path_serves_natively_what_it_has_backends_for(installed, tmp_path):
    found = find_installation(tmp_path, ServerChoice("path"), {"openvino"})
    assert (found.program, found.native_backends) == (str(installed), True)


@pytest.mark.parametrize("backends", [{"tensorrt"}, {"openvino", "tensorrt"}, {"python"}])
def test_one_missing_backend_sends_all_models_to_the_python_backend(installed, tmp_path, backends):
    found = find_installation(tmp_path, ServerChoice("path"), backends)
    assert (found.program, found.native_backends) == (str(installed), False)
    assert "--model-config-name=python" in found.command([tmp_path], Ports(1, 2, 3))


def test_the_wheels_server_finds_its_backends_in_the_folder_that_it_works_in(tmp_path):
    found = find_installation(tmp_path, ServerChoice("wheel"))
    assert found.folder == tmp_path
    assert found.flags == ("--backend-directory=backends",)
    assert os.access(tmp_path / "backends" / "python" / "triton_python_backend_stub", os.X_OK)


def pretended(tmp_path, **said):
    """Return an interpreter that says of itself what no interpreter here would."""
    python = tmp_path / "pretended-python"
    answer = {"version": "3.12", "numpy": "1.26.4", "executable": "/x", "packages": [], "libraries": []} | said
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer | {'environment': {}})}'\n", encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("in_the_way", ["backends", "backends/python"])
def test_a_file_in_place_of_the_backends_is_replaced(tmp_path, in_the_way):
    path = tmp_path / in_the_way
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way", encoding="utf-8")
    find_installation(tmp_path, ServerChoice("wheel"))
    assert (tmp_path / "backends" / "python" / "triton_python_backend_stub").is_file()


def test_an_interpreter_that_the_wheel_has_no_stub_for_is_named(tmp_path):
    python = pretended(tmp_path, version="2.7")
    with pytest.raises(SlipwayError, match=r"no Python backend for Python 2\.7 .*it has 3\.\d") as caught:
        find_installation(tmp_path, ServerChoice("wheel"), python=python)
    assert str(python) in str(caught.value)


@pytest.mark.parametrize(("numpy", "word"), [("2.2.6", r"2\.2\.6"), (None, "none")])
def test_a_numpy_that_the_backend_would_serve_zeros_with_is_refused(tmp_path, numpy, word):
    with pytest.raises(SlipwayError, match=rf"needs NumPy 1, but .*pretended-python has {word}: install `numpy<2`"):
        find_installation(tmp_path, ServerChoice("wheel"), python=pretended(tmp_path, numpy=numpy))


def test_the_reason_that_a_model_did_not_load_comes_first(tmp_path):
    log = tmp_path / "server.log"
    reason = "failed to load 'm' version 1: Internal: ModuleNotFoundError: No module named 'tensorrt'"
    log.write_text(
        f'I1123 04:06:05.1 7 model_lifecycle.cc:472] "loading: m:1"\n'
        f'E1123 04:06:06.2 7 model_lifecycle.cc:642] "{reason}\\n\\nAt:\\n  model.py(12): <module>"\n'
        "I1123 04:06:06.3 7 server.cc:674] \n" + "| a | table |\n" * 40,
        encoding="utf-8",
    )
    assert log_end(log) == f"{reason}\nThe whole log is {log}"


def test_else_the_end_of_the_log_is_told(tmp_path):
    log = tmp_path / "server.log"
    log.write_text("\n".join(str(number) for number in range(100)), encoding="utf-8")
    assert log_end(log, lines=3) == "97\n98\n99"
