"""NVIDIA's image as the server of this machine: a stand-in for Docker and Podman runs a real Triton."""

import os
import re
import signal
import socket
import subprocess

import psutil
import pytest
from helpers.artifacts.training import RECEIPT, RESULTS, Training, options
from helpers.patience import PATIENCE_S
from helpers.programs import fake_container
from helpers.programs.container_place import IN_CONTAINER, wait_for
from helpers.programs.fake_container import IMAGE, RELEASE, containers
from helpers.traffic import Traffic, who_gave
from helpers.workplace import random_checkpoint

from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server.container_programs import image_here, usable_program
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    return [Training(folder / str(seed), seed) for seed in range(2)]


def deploy(place, training, *more):
    return place.program_here("deploy", *options(place, training, *IN_CONTAINER, *more))


def receipt(place):
    return read_json(place.path(RECEIPT))


def require_options(container, served_at):
    """Require that a container is confined, has this machine's network, and serves by its own backends."""
    given, words = container["options"], container["words"]
    assert given["user"] == [f"{os.getuid()}:{os.getgid()}"]
    assert (given["network"], given["read_only"], given["rm"]) == (["host"], True, True)
    assert given["cap_drop"] == ["ALL"]
    assert given["shm_size"]
    assert all(mount.endswith(",readonly") for mount in given["mount"])
    assert given["image"] == fake_container.identity(IMAGE)
    assert f"--grpc-address={served_at.host}" in words
    assert not any("model-config-name" in word for word in words)


def serving(place, trainings):
    with ModelClient(place.served_at, "tiny") as client:
        return who_gave(client.infer({"input": trainings[0].input}).outputs["logits"], trainings)


def test_a_container_serves_switches_goes_back_and_is_shown_and_stopped(place, trainings):
    deploy(place, trainings[0]).succeeded()
    [(name, container)] = containers(place.state).items()
    server = receipt(place)["contents"]["server"]
    assert (server["pid"], server["id"]) == (container["pid"], name), "the server itself is known, not its client"
    assert server["identity"]["server"]["image"] == IMAGE
    require_options(container, place.served_at)
    with Traffic(place.served_at, trainings[0].input) as traffic:
        said = deploy(place, trainings[1]).succeeded().said
        assert "loading the new version in the live server" in said
        place.program_here("rollback", "--results", RESULTS).succeeded()
    assert not traffic.lost
    assert traffic.orders(trainings) == [[0, 1, 0]] * 3
    assert containers(place.state).keys() == {name}, "the same container serves, and that of the trial is gone"
    status = place.program_here("status", "--results", RESULTS).succeeded().said
    assert "answers" in status
    assert int(re.search(r"memory +(\d+) MB", status)[1]) > 50, "the memory of the server, not of its client"
    place.program_here("undeploy", "--results", RESULTS).succeeded()
    assert not containers(place.state)


@pytest.mark.long
def test_a_server_that_died_and_another_kind_of_server_are_replaced(place, trainings):
    deploy(place, trainings[0]).succeeded()
    [container] = containers(place.state).values()
    psutil.Process(container["pid"]).kill()
    deploy(place, trainings[0]).succeeded()
    assert serving(place, trainings) == 0
    # Without a choice in the options: the wheel's.
    said = place.program_here("deploy", *options(place, trainings[0], "--server", "wheel")).succeeded().said
    assert "the server has to be restarted" in said
    assert not containers(place.state)
    assert serving(place, trainings) == 0


@pytest.mark.long
@pytest.mark.parametrize("phase", ["while the container starts", "while it is tried"])
def test_what_a_killed_deployment_left_is_found_and_the_next_one_deploys(place, trainings, phase):
    command = place.program_command("deploy", *options(place, trainings[0], *IN_CONTAINER))
    killed = subprocess.Popen(command, cwd=place.folder, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: containers(place.state))
    if phase == "while it is tried":
        wait_for(lambda: any(record["pid"] for record in containers(place.state).values()))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    deploy(place, trainings[1]).succeeded()
    assert serving(place, trainings) == 1
    assert len(containers(place.state)) == 1
    assert receipt(place)["contents"]["server"]["id"] in containers(place.state)


@pytest.mark.long
def test_a_taken_port_an_image_that_is_gone_and_a_service_that_does_not_answer_leave_the_live_server(place, trainings):
    with socket.create_server(("127.0.0.1", place.served_at.grpc)):
        deploy(place, trainings[0]).refused(f"port {place.served_at.grpc} on 127.0.0.1 is taken by process")
    assert not containers(place.state)
    deploy(place, trainings[0]).succeeded()
    before = receipt(place)
    image_here.cache_clear()
    fake_container.change(place.state, images=[])
    deploy(place, trainings[1]).refused(f"`docker pull {IMAGE}` failed", "manifest unknown", "`triton.image`")
    fake_container.change(place.state, images=[IMAGE], environment=fake_container.environment("25.01"))
    image_here.cache_clear()
    deploy(place, trainings[1]).refused("has Triton 25.01, and `triton.release` is 26.07")
    usable_program.cache_clear()
    fake_container.change(place.state, answers=False, environment=fake_container.environment())
    deploy(place, trainings[1]).refused("no container can run here", "its service does not answer")
    assert receipt(place) == before
    assert serving(place, trainings) == 0
    fake_container.change(place.state, answers=True)


@pytest.mark.long
def test_an_image_that_is_not_here_is_pulled(place, trainings):
    fake_container.change(place.state, images=[], pullable=[IMAGE])
    said = deploy(place, trainings[0]).succeeded().said
    assert f"docker pulls {IMAGE}" in said


@pytest.mark.long
def test_podman_serves_where_docker_does_not_answer(place, trainings, tmp_path, monkeypatch):
    fake_container.change(place.state, answers=False)
    for name, value in fake_container.install(tmp_path / "programs", "podman").items():
        monkeypatch.setenv(name, value)
    deploy(place, trainings[0]).succeeded()
    [container] = containers(tmp_path / "programs" / "podman-state").values()
    assert container["options"]["network"] == ["host"]
    assert serving(place, trainings) == 0
    place.program_here("undeploy", "--results", RESULTS).succeeded()
    assert not containers(tmp_path / "programs" / "podman-state")
    fake_container.change(place.state, answers=True)


@pytest.mark.long
@pytest.mark.parametrize("program", ["docker", "podman"])
def test_a_server_for_engines_of_a_gpu_starts_with_gpus_and_the_machines_shared_memory(
    place, program, tmp_path, monkeypatch
):
    if program == "podman":
        for name, value in fake_container.install(tmp_path / "programs", program).items():
            monkeypatch.setenv(name, value)
        fake_container.change(place.state, answers=False)
    state = tmp_path / "programs" / f"{program}-state"
    (tmp_path / "repository").mkdir()
    server = find_installation(tmp_path, ServerChoice("container", IMAGE, RELEASE), {"openvino"})
    server = server.for_engines([{"hardware": "NVIDIA L4 (compute capability 8.9)"}], shares_memory=True)
    ports = Ports.free()
    flags = ["--model-control-mode=explicit"]
    with (
        pytest.raises(SlipwayError, match="ended with exit code 125"),
        Server(server, [tmp_path / "repository"], ports, tmp_path / "log", *flags, server_id="gpu-0"),
    ):
        pass  # this machine has no driver for it
    fake_container.change(state, gives_gpus=True)
    with Server(server, [tmp_path / "repository"], ports, tmp_path / "log", *flags, server_id="gpu-1") as started:
        started.wait_until_ready(PATIENCE_S)
        given = containers(state)["gpu-1"]["options"]
    assert given["ipc"] == ["host"]
    assert given["gpus" if program == "docker" else "device"]
    assert not containers(state)
    fake_container.change(place.state, answers=True)


@pytest.mark.long
def test_the_whole_chain_measures_and_serves_in_containers_and_a_service_that_is_down_is_refused_while_planning(place):
    random_checkpoint(place.path("good.pth"), seed=0)
    place.configure("triton", {"run": "container", "release": RELEASE, "image": IMAGE})
    fake_container.change(place.state, answers=False)
    place.snakemake("deploy").refused("config: `triton.run` is container, but", "its service does not answer")
    assert not place.path("results/tiny").exists(), "nothing was built"
    fake_container.change(place.state, answers=True)
    place.snakemake("deploy").succeeded()
    assert read_json(place.path("results/tiny/cpu/analysis/analysis.json"))["server"]["image"] == IMAGE
    assert "was not measured" not in read_json(place.path("results/tiny/cpu/selection.json"))["reason"]
    assert len(containers(place.state)) == 1
    assert "Load-testing" not in place.snakemake("-n", "deploy").succeeded().said
    place.configure("triton.run", "wheel")
    planned = place.snakemake("-n", "deploy").succeeded().said
    assert "Load-testing tiny on cpu" in planned
    assert "build_openvino" not in planned
    assert "Benchmarking PyTorch" not in planned
