import json

import pytest

from slipway.core import packages
from slipway.core.errors import SlipwayError
from slipway.keys import version_lock
from slipway.keys.config import complete
from slipway.keys.notices import notices
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.validation import resolve
from slipway.keys.version_lock import runs_under
from slipway.triton.server import releases
from slipway.triton.server.container_programs import image_here

H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"
L4 = "NVIDIA L4 (compute capability 8.9)"
CPU = "A CPU [avx2] x4"
# 25.03 and 25.04 have 10.9.0.34, 25.09 and 25.10 have 10.13.3.9; nobody published a release 29.01 yet.
UNKNOWN = "29.01"


@pytest.fixture(autouse=True)
def without_container_programs(tmp_path, monkeypatch):
    """Run in an empty folder, with nothing on PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    image_here.cache_clear()
    yield
    image_here.cache_clear()


@pytest.fixture
def image(tmp_path):
    """Return a function that makes this machine have one image, with a TensorRT inside."""

    def have(name: str, tensorrt: str) -> None:
        described = json.dumps({"Id": "sha256:1", "Config": {"Env": [f"TRT_VERSION={tensorrt}"]}})
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\n[ "$5" = "{name}" ] || exit 1\necho \'{described}\'\n', encoding="utf-8")
        docker.chmod(0o755)

    return have


def target(version: str | None = "10.13.3.9", runtime: str = "tensorrt", **settings) -> dict:
    tensorrt = {"version": version, "python": "/nowhere/python"} | settings
    return {"runtime": runtime, "hardware": H100, "precisions": ["fp16"], "tensorrt": tensorrt}


def decide(targets: dict, release: str | None = None, image: str | None = None) -> ResolvedConfig:
    triton = {"release": release, "image": image}
    return resolve(complete({"models": {"m": {}}, "targets": targets, "triton": triton}))


def refusal(*args, **kwargs) -> str:
    with pytest.raises(SlipwayError) as caught:
        decide(*args, **kwargs)
    return str(caught.value)


# A release that is known


def test_the_same_tensorrt_is_verified():
    found = decide({"h100": target("10.13.3.9")}, "25.09")
    assert found.lock("h100") == {
        "triton_release": "25.09",
        "tensorrt_of_release": "10.13.3.9",
        "verified": True,
        "source": releases.release_with("triton", "25.09").source,
    }
    assert list(notices(found)) == []


def test_another_tensorrt_is_refused_with_both_versions_and_both_ways_out():
    message = refusal({"h100": target("10.9.0.34")}, "25.09")
    assert message.startswith("config: `targets.h100` builds with TensorRT 10.9.0.34")
    assert "Triton 25.09 serves with TensorRT 10.13.3.9" in message
    assert "`pip install tensorrt==10.13.3.9`" in message
    assert "`tensorrt.python`" in message
    assert "nvcr.io/nvidia/tensorrt:25.09-py3" in message
    assert "`triton.release`: 25.03 or 25.04" in message
    assert "\n" not in message


def test_a_tensorrt_that_no_known_release_has_is_said_so():
    assert "none that is known here does" in refusal({"h100": target("10.9.9.9")}, "25.09")


def test_a_version_that_ends_early_is_pinned_as_pip_wants_it():
    message = refusal({"h100": target("10.9.0.34")}, "24.04")
    assert "serves with TensorRT 8.6.3 " in message
    assert "`pip install tensorrt==8.6.3.*`" in message


def test_a_version_that_ends_early_is_compared_that_far():
    assert decide({"h100": target("8.6.3.1")}, "24.04").lock("h100")["verified"]


def test_every_target_is_compared():
    targets = {"h100": target("10.13.3.9"), "l4": target("10.9.0.34") | {"hardware": L4}}
    assert "`targets.l4` builds with TensorRT 10.9.0.34" in refusal(targets, "25.09")


def test_the_version_that_is_installed_counts_where_none_is_declared(monkeypatch):
    monkeypatch.setattr(packages, "runtime_version", lambda runtime, python=None: "10.9.0.34")
    assert "builds with TensorRT 10.9.0.34" in refusal({"h100": target(version=None)}, "25.09")
    assert decide({"h100": target(version=None)}, "25.04").lock("h100")["verified"]


def test_where_no_tensorrt_is_installed_there_is_nothing_to_compare_yet():
    found = decide({"h100": target(version=None)}, "25.09")
    assert found.lock("h100")["tensorrt_of_release"] == "10.13.3.9"
    assert not found.lock("h100")["verified"]


# Version-compatible engines


@pytest.mark.parametrize(
    ("built", "serving", "compatibility", "runs"),
    [
        ("10.9.0.34", "10.13.3.9", "version", True),
        ("8.6.1.6", "10.13.3.9", "version", True),
        ("10.13.3.9", "10.13.3.9", "none", True),
        ("10.9.0.34", "10.13.3.9", "none", False),
        ("10.9.0.34", "10.13.3.9", "hardware", False),
        ("10.13.3.9", "10.9.0.34", "version", False),
        ("8.5.3.1", "10.13.3.9", "version", False),
        ("8.5.3.1", "8.6.1.6", "version", False),
    ],
)
def test_a_version_compatible_engine_runs_under_later_tensorrt(built, serving, compatibility, runs):
    assert runs_under(built, serving, compatibility) is runs


def test_the_setting_of_the_target_counts():
    found = decide({"h100": target("10.9.0.34", compatibility="version")}, "25.09")
    assert found.lock("h100")["verified"]
    assert "10.13.3.9" in refusal({"h100": target("10.13.3.9", compatibility="version")}, "25.04")


# Releases that the table does not have


def test_an_unknown_release_is_asked_of_its_image(image):
    name = f"nvcr.io/nvidia/tritonserver:{UNKNOWN}-py3"
    image(name, "12.0.0.1")
    lock = decide({"h100": target("12.0.0.1")}, UNKNOWN).lock("h100")
    assert lock == {
        "triton_release": UNKNOWN,
        "tensorrt_of_release": "12.0.0.1",
        "verified": True,
        "source": f"TRT_VERSION of the image {name}",
    }
    assert f"serves with TensorRT 12.0.0.1 (TRT_VERSION of the image {name})" in refusal(
        {"h100": target("10.9.0.34")}, UNKNOWN
    )


def test_an_unknown_release_without_its_image_is_said_to_be_unverified():
    found = decide({"h100": target("10.9.0.34")}, UNKNOWN)
    (notice,) = notices(found)
    assert notice.startswith(f"target h100: not verified that Triton {UNKNOWN} serves with TensorRT 10.9.0.34")
    assert f"nvcr.io/nvidia/tritonserver:{UNKNOWN}-py3" in notice
    assert "docker pull" in notice
    assert found.lock("h100") == {
        "triton_release": UNKNOWN,
        "tensorrt_of_release": None,
        "verified": False,
        "source": f"no image nvcr.io/nvidia/tritonserver:{UNKNOWN}-py3 here tells it",
    }


def test_an_unverified_target_without_tensorrt_is_not_said_to_have_one():
    (notice,) = notices(decide({"h100": target(version=None)}, UNKNOWN))
    assert "absent" not in notice
    assert "the TensorRT that builds" in notice


def test_a_named_image_is_asked_before_the_table(image):
    image("my/triton:1", "10.9.0.34")
    assert decide({"h100": target("10.9.0.34")}, "25.09", "my/triton:1").lock("h100")["verified"]
    assert "(TRT_VERSION of the image my/triton:1)" in refusal({"h100": target()}, "25.09", "my/triton:1")


def test_a_named_image_is_enough_without_a_release(image):
    image("my/triton:1", "10.9.0.34")
    message = refusal({"h100": target()}, image="my/triton:1")
    assert "the image my/triton:1 serves with TensorRT 10.9.0.34" in message
    assert "None" not in message


def test_a_named_image_that_is_not_here_leaves_the_table():
    assert decide({"h100": target()}, "25.09", "my/triton:1").lock("h100")["verified"]
    (notice,) = notices(decide({"h100": target()}, UNKNOWN, "my/triton:1"))
    assert "no image my/triton:1 on this machine tells it" in notice


def test_nvidias_image_is_not_asked_in_place_of_a_named_one(image):
    image(f"nvcr.io/nvidia/tritonserver:{UNKNOWN}-py3", "10.13.3.9")
    assert decide({"h100": target()}, UNKNOWN, "my/triton:1").lock("h100") == {
        "triton_release": UNKNOWN,
        "tensorrt_of_release": None,
        "verified": False,
        "source": "no image my/triton:1 here tells it",
    }


def test_what_is_not_verified_is_said_beside_what_was_decided():
    told = list(notices(decide({"cpu": {"hardware": CPU}, "h100": target()}, UNKNOWN)))
    assert [notice.split(":")[0] for notice in told] == ["target cpu", "target h100"]


# Where there is no lock


def test_without_a_release_nothing_is_compared():
    found = decide({"h100": target()})
    assert list(notices(found)) == []
    assert found.lock("h100")["verified"] is False
    assert "`triton.release` is not set" in found.lock("h100")["source"]


def test_tensorrt_for_rtx_is_left_alone():
    found = decide({"rtx": target("1.6.0.1", runtime="tensorrt_rtx") | {"hardware": L4}}, "25.09")
    assert list(notices(found)) == []
    assert found.lock("rtx") == {
        "triton_release": "25.09",
        "tensorrt_of_release": None,
        "verified": False,
        "source": "tensorrt_rtx has no version lock",
    }


def test_a_cpu_is_left_alone():
    found = decide({"cpu": {"runtime": "openvino", "hardware": CPU}}, UNKNOWN)
    assert list(notices(found)) == []
    assert found.lock("cpu")["source"] == "openvino has no version lock"


def test_no_image_is_asked_for_a_cpu(monkeypatch):
    monkeypatch.setattr(version_lock, "served_tensorrt", lambda triton: pytest.fail("asked"))
    list(notices(decide({"cpu": {"runtime": "openvino", "hardware": CPU}}, UNKNOWN)))


# The settings


@pytest.mark.parametrize("release", ["25.9", "v25.09", "25.09-py3", 25.1, ""])
def test_what_is_no_release_is_told_in_one_sentence(release):
    message = refusal({"cpu": {"hardware": CPU}}, release)
    assert f"`triton.release` is {release!r}" in message
    assert '"26.07"' in message
    assert "\n" not in message
