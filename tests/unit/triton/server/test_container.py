"""The command line of a container: what Docker and Podman get for GPUs, shared memory, TLS and the user's own id.

The strict stand-in reads each command line, and refuses what the real programs refuse.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.programs.container_options import options, require_sensible
from helpers.programs.container_server import mounts_of

from slipway.triton.client.ports import Ports
from slipway.triton.server.container import Container
from slipway.triton.server.container_programs import ContainerProgram, Image
from slipway.triton.server.tls import ServerTls

PROGRAMS = {name: ContainerProgram(name, is_podman=name == "podman") for name in ("docker", "podman")}
PORTS = Ports(None, 8001, 8002)


def container(program, **settings):
    return Container(PROGRAMS[program], "mine:1", Image("sha256:1", {}), "26.07", **settings)


def read(program, command, gives_gpus=True):
    """Return the options of a command line, as the stand-in of the program reads them."""
    asked = options(program, command[1:])
    require_sensible(program, asked, gives_gpus)
    return asked


@pytest.fixture
def started(tmp_path):
    """Return a function that gives the options with which a server of an empty repository is started."""

    def start(program, ports=PORTS, gives_gpus=True, **settings):
        command = container(program, **settings).server_command("m-1", [tmp_path], ports, ["--exit-on-error=false"])
        return read(program, command, gives_gpus)

    return start


def given_gpus(program, asked):
    return asked.gpus if program == "docker" else asked.device


@pytest.mark.parametrize(("program", "all_gpus"), [("docker", "all"), ("podman", "nvidia.com/gpu=all")])
def test_gpus_are_passed_and_the_users_choice_of_them(started, monkeypatch, program, all_gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7,1")
    asked = started(program, on_gpu=True)
    assert given_gpus(program, asked) == [all_gpus]
    assert "CUDA_VISIBLE_DEVICES=GPU-7,1" in asked.env
    assert "NVIDIA_VISIBLE_DEVICES=void" not in asked.env


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cpu_server_gets_no_gpu_even_of_an_image_that_takes_all(started, monkeypatch, program):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    asked = started(program, gives_gpus=False)
    assert given_gpus(program, asked) == []
    assert "NVIDIA_VISIBLE_DEVICES=void" in asked.env
    assert not any(variable.startswith("CUDA_VISIBLE_DEVICES") for variable in asked.env)


@pytest.mark.parametrize("program", PROGRAMS)
def test_gpus_without_a_driver_are_refused(started, program, capsys):
    with pytest.raises(SystemExit):
        started(program, gives_gpus=False, on_gpu=True)
    assert {"docker": "could not select device driver", "podman": "unresolvable CDI devices"}[program] in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_shared_memory_is_sized_or_that_of_the_machine(started, program):
    own, shared = started(program), started(program, shares_memory=True)
    assert (own.shm_size, own.ipc) == (["256m"], [])
    assert (shared.shm_size, shared.ipc) == ([], ["host"])


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("client_ca", [True, False])
def test_pem_files_are_mounted_where_the_server_looks_for_them(started, tmp_path, program, client_ca):
    names = {"certificate": "my cert.pem", "key": "k,1.pem", "client_ca": "ca.pem" if client_ca else None}
    paths = {name: str(tmp_path / file) if file else None for name, file in names.items()}
    for path in filter(None, paths.values()):
        Path(path).touch()
    tls = ServerTls(**paths, certificate_sha256="0" * 64, server_name="localhost")
    asked = started(program, ports=replace(PORTS, tls=tls))
    mounts = mounts_of(asked)
    inside = {word.partition("=")[2] for word in asked.words if "/slipway/tls/" in word}
    assert {mounts[path] for path in inside} == set(filter(None, paths.values()))
    assert len(inside) == (3 if client_ca else 2)
    assert not any(str(tmp_path) in word for word in asked.words), "no path of this machine"


@pytest.mark.parametrize(("uid", "mapping"), [(0, []), (1000, ["keep-id"])])
def test_podman_keeps_the_id_of_a_user_without_root(started, monkeypatch, uid, mapping):
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "getgid", lambda: uid)
    asked = started("podman")
    assert (asked.user, asked.userns) == ([f"{uid}:{uid}"], mapping)
    assert started("docker").userns == ["host"], "a daemon that maps ids would not read the user's files"


GOOD = {
    program: ["run", "--rm", "--name=m-1", "--user=1000:1000", f"--userns={userns}", "--network=host"]
    for program, userns in {"docker": "host", "podman": "keep-id"}.items()
}


@pytest.mark.parametrize(
    ("program", "wrong"),
    [
        ("docker", ["--device=nvidia.com/gpu=all"]),
        ("podman", ["--gpus=all"]),
        ("docker", ["--gpus=0,1"]),
        ("docker", ["--userns=keep-id"]),
        ("podman", ["--userns=host"]),
        ("docker", ["--ipc=host", "--shm-size=256m"]),
        ("podman", ["--ipc=host", "--shm-size=256m"]),
        ("docker", ["--ipc=machine"]),
        ("docker", ["--shm-size=256MiB"]),
        ("docker", ["--mount=type=bind,source=/a,target=/b"]),  # the server could write there
        ("docker", ["--mount=type=bind,source=a,target=/b,readonly"]),
        ("docker", ["--network=slipway"]),
        ("docker", ["--read-onl"]),
        ("podman", ["--pull=sometimes"]),
    ],
)
def test_the_stand_in_refuses_what_the_real_programs_refuse(program, wrong):
    read(program, [program, *GOOD[program], "sha256:1", "tritonserver"])
    replaced = [word for word in GOOD[program] if word.partition("=")[0] != wrong[0].partition("=")[0]]
    with pytest.raises(SystemExit):
        read(program, [program, *replaced, *wrong, "sha256:1", "tritonserver"])
