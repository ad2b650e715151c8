"""A folder whose server runs in a container, by a stand-in for Docker."""

import time

import psutil
import pytest

from helpers.artifacts.training import RESULTS
from helpers.programs import fake_container
from helpers.programs.fake_container import IMAGE, RELEASE, containers
from helpers.workplace import ODD, Workplace
from slipway.triton.client.ports import Ports
from slipway.triton.server.container_programs import image_here, is_pullable, usable_program

IN_CONTAINER = ("--server", "container", "--server-image", IMAGE, "--server-release", RELEASE)


@pytest.fixture(autouse=True)
def ask_again():
    """Forget what was known of Docker and Podman, and afterwards what the stand-ins said."""
    forget_containers()
    yield
    forget_containers()


def forget_containers():
    for asked in (usable_program, image_here, is_pullable):
        asked.cache_clear()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty folder with an odd name and a stand-in for Docker; what runs at the end is stopped."""
    folder = tmp_path / f"{ODD}, c"
    folder.mkdir()
    for name, value in fake_container.install(tmp_path / "programs").items():
        monkeypatch.setenv(name, value)
    found = Workplace(folder)
    found.served_at = Ports.free()
    found.state = tmp_path / "programs" / "docker-state"
    yield found
    found.program_here("undeploy", "--results", RESULTS)
    left = containers(found.state)
    for record in left.values():
        psutil.Process(record["pid"]).kill()
    assert not left


def wait_for(condition):
    """Wait until a condition holds."""
    while not condition():
        time.sleep(0.05)
