"""Which tritonserver runs here, and what is refused while planning: stand-ins for Docker and Podman."""

import json

import pytest
from helpers.artifacts.configured import WITH_BF16, job_keys, resolved
from helpers.code_in_keys import WILDCARDS, keys_by_method
from helpers.programs import fake_container
from helpers.programs.container_place import ask_again  # noqa: F401
from helpers.programs.fake_container import IMAGE, RELEASE

from slipway.core.errors import SlipwayError
from slipway.keys.server_validation import require_local_server
from slipway.runtimes import RUNTIMES
from slipway.triton.server import server_choice
from slipway.triton.server.container_programs import usable_program
from slipway.triton.server.kinds import server_in_words, why_another
from slipway.triton.server.releases import image_of

OPENVINO, RTX = RUNTIMES["openvino"], RUNTIMES["tensorrt_rtx"]
NAMED = {"run": "auto", "release": RELEASE, "image": IMAGE}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a stand-in on PATH, where no other program is; it returns its state."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))

    def install(program="docker", **settings):
        info = settings.pop("info", {})
        for name, value in fake_container.install(tmp_path, program, **settings).items():
            monkeypatch.setenv(name, value)
        fake_container.change(tmp_path / f"{program}-state", info=info)
        return tmp_path / f"{program}-state"

    return install


def test_a_container_is_used_where_one_can_run_and_the_reason_is_said(programs):
    programs()
    found = server_choice.choose(NAMED, OPENVINO)
    assert (found.run, found.image, found.release) == ("container", IMAGE, RELEASE)
    assert found.why == "no tritonserver on PATH has the backend openvino"
    assert found.settings() == {"server": "container", "server_image": IMAGE, "server_release": RELEASE}


def test_without_a_named_image_nobody_is_asked(programs, monkeypatch):
    programs()
    monkeypatch.setattr(server_choice, "usable_program", pytest.fail)
    found = server_choice.choose({"run": "auto", "release": None, "image": None}, OPENVINO)
    assert found.run == "wheel"
    assert "neither `triton.release` nor `triton.image` names its image" in found.why


REMOTE = {"Name": "docker-desktop"}
ROOTLESS = {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"answers": False}, "`docker` is here, but its service does not answer"),
        ({"images": []}, f"docker neither has the image {IMAGE} nor can pull it"),
        ({"info": REMOTE}, "its containers run on docker-desktop, not on this machine"),
        ({"info": ROOTLESS}, "it is rootless"),
    ],
    ids=["service", "image", "virtual machine", "rootless"],
)
def test_where_no_container_can_run_auto_takes_the_wheel_and_a_declared_one_is_refused(programs, settings, why):
    programs(**settings)
    found = server_choice.choose(NAMED, OPENVINO)
    assert found.run == "wheel"
    assert why in found.why
    declared = resolved(triton={**NAMED, "run": "container"})
    with pytest.raises(SlipwayError) as caught:
        require_local_server(declared, "cpu")
    assert "config: `triton.run` is container, but " in str(caught.value)
    assert why in str(caught.value)
    assert "set `triton.run` to auto or wheel" in str(caught.value)


def test_an_image_that_can_be_pulled_is_enough(programs):
    programs(images=[], pullable=[IMAGE])
    assert server_choice.choose(NAMED, OPENVINO).run == "container"


def test_podman_is_asked_where_docker_does_not_answer(programs):
    programs(answers=False)
    programs("podman")
    assert usable_program()[0].is_podman


def test_neither_program_is_named(programs):
    assert "neither `docker` nor `podman` is on PATH" in server_choice.choose(NAMED, OPENVINO).why


def test_an_image_of_another_release_is_refused(programs):
    """The image has another release inside than its tag says."""
    fake_container.change(programs(), environment=fake_container.environment("26.06"))
    other = resolved(triton={"run": "container", "release": RELEASE, "image": IMAGE})
    with pytest.raises(SlipwayError, match=f"the image {IMAGE} has Triton 26.06, and `triton.release` is {RELEASE}"):
        require_local_server(other, "cpu")


def test_engines_without_a_backend_in_the_image_take_no_container(programs):
    programs()
    assert "no backend for engines of TensorRT for RTX" in server_choice.choose(NAMED, RTX).why


@pytest.mark.parametrize(
    ("run", "lacking"), [("path", "there is no tritonserver on PATH"), ("wheel", "nvidia-pytriton is not installed")]
)
def test_a_declared_server_that_is_not_here_is_refused(programs, monkeypatch, run, lacking):
    monkeypatch.setattr(server_choice, "wheel", lambda: None)
    with pytest.raises(SlipwayError, match=f"`triton.run` is {run}, but {lacking}; .*set `triton.run` to auto"):
        require_local_server(resolved(triton={"run": run}), "cpu")


def test_what_was_measured_on_this_kind_of_server_is_not_asked_about_again(programs, tmp_path):
    programs(answers=False)
    record = tmp_path / "analysis.json"
    declared = resolved(triton={**NAMED, "run": "container"})
    record.write_text(json.dumps({"key": declared.server("cpu").settings()}), encoding="utf-8")
    require_local_server(declared, "cpu", record)
    record.write_text(json.dumps({"key": {"server": "wheel"}}), encoding="utf-8")
    with pytest.raises(SlipwayError, match="does not answer"):
        require_local_server(declared, "cpu", record)


def test_another_server_makes_the_load_test_and_the_deployment_stale_and_nothing_before_them(programs):
    programs()
    found = {}
    for run in ("wheel", "container"):
        keys = job_keys({"cpu": {"runtime": "openvino", "hardware": WITH_BF16}}, triton={**NAMED, "run": run})
        found[run] = keys_by_method(keys, WILDCARDS | {"target": "cpu"})
    stale = {name for name, key in found["wheel"].items() if key != found["container"][name]}
    assert stale == {"load_test", "measure_capacity", "deploy_release"}
    assert found["container"]["load_test"]["server_image"] == IMAGE
    assert "pytriton_version" not in found["container"]["load_test"], "the wheel is not used"
    assert found["wheel"]["load_test"]["server"] == "wheel"


WHEEL = {"run": "wheel", "native_backends": False, "release": "24.10"}
INSIDE = {"run": "container", "native_backends": True, "release": "26.07", "image": IMAGE}


def test_a_server_in_words():
    assert server_in_words(WHEEL) == "Triton 24.10 of nvidia-pytriton, with its Python backend"
    assert server_in_words(INSIDE) == f"Triton 26.07 in a container of {IMAGE}, with its own backends"
    earlier = {"program": "tritonserver", "native_backends": False}
    assert server_in_words(earlier) == "a Triton whose release is not known of nvidia-pytriton, with its Python backend"


@pytest.mark.parametrize(
    ("server", "same"),
    [
        (WHEEL, False),
        (INSIDE, True),
        (INSIDE | {"image": "mine"}, False),
        ({"run": "path", "native_backends": True, "release": "26.07"}, True),
        ({"run": "path", "native_backends": True, "release": None}, False),
        ({"run": "path", "native_backends": False, "release": "26.07"}, False),
    ],
)
def test_another_server_than_the_one_that_serves_elsewhere_is_said(server, same):
    assert (why_another(server, IMAGE, "26.07") is None) == same
    assert why_another(server, None, None) is None


def test_the_image_that_serves_is_the_named_one_or_the_one_of_the_release():
    assert server_choice.image_that_serves(NAMED) == IMAGE
    assert server_choice.image_that_serves({"release": "26.07", "image": None}) == image_of("26.07")
