import json
import re

import pytest
from helpers.fresh_interpreter import printed

from slipway.core.schema import read_schema
from slipway.triton.server import container_programs, releases

VERSION = re.compile(r"\d+(\.\d+){1,3}")


@pytest.fixture
def programs_on_path(tmp_path, monkeypatch):
    """Return a function that puts a program on a PATH that has no other; nothing is remembered of earlier images."""
    monkeypatch.setenv("PATH", str(tmp_path))
    container_programs.image_here.cache_clear()

    def put(name: str, *lines: str) -> None:
        program = tmp_path / name
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
        program.chmod(0o755)

    yield put
    container_programs.image_here.cache_clear()


def says(*variables: str) -> str:
    """Return the line of a program that prints an image's environment, when it is asked as it should be."""
    described = json.dumps({"Id": "sha256:1", "Config": {"Env": variables}})
    return f"""[ "$*" = "image inspect --format {{{{json .}}}} my/image:1" ] && echo '{described}'"""


# The table


def test_every_row_is_whole():
    for row in releases.releases():
        assert re.fullmatch(r"\d\d\.\d\d", row.triton)
        assert VERSION.fullmatch(row.tensorrt), row
        assert row.cuda is None or VERSION.fullmatch(row.cuda), row
        assert row.server is None or re.fullmatch(r"2\.\d+\.0", row.server), row
        assert len(row.source) > 20, "the letter is spelled out"


def test_releases_ascend_and_so_does_what_is_inside():
    rows = releases.releases()
    names = [row.triton for row in rows]
    assert names == sorted(set(names))
    inside = [releases.numbers(row.tensorrt) for row in rows]
    assert inside == sorted(inside)
    servers = [releases.numbers(row.server) for row in rows if row.server]
    assert servers == sorted(set(servers))


def test_a_server_counts_one_release_a_month():
    """Between two rows whose server is known, the server's number must have room for every release."""
    known = [(row.triton, releases.numbers(row.server)[1]) for row in releases.releases() if row.server]
    months = [int(name[:2]) * 12 + int(name[3:]) for name, _ in known]
    for (first, start), (second, end), earlier, later in zip(known, known[1:], months, months[1:], strict=False):
        assert 1 <= end - start <= later - earlier, (first, second)


def test_a_release_is_found_by_name_and_by_its_server():
    found = releases.release_with("triton", "24.10")
    assert (found.tensorrt, found.cuda, found.server) == ("10.5.0.18", "12.6", "2.51.0")
    assert releases.release_with("server", "2.51.0") == found


def test_what_the_table_does_not_have_is_unknown():
    assert releases.release_with("triton", "24.13") is None
    assert releases.release_with("triton", "24.12") is None, "its sources disagree"
    assert releases.release_with("server", "2.51.1") is None
    assert releases.releases_with("9.9.9.9") == []


def test_an_unknown_server_is_not_one_whose_version_is_missing():
    assert releases.release_with("server", None) is None


def test_several_releases_may_have_one_tensorrt():
    assert releases.releases_with("10.13.3.9") == ["25.09", "25.10"]
    assert releases.releases_with("8.6.3.1") == ["24.04"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("10.13.3.9", "10.13.3.9", True),
        ("10.13.3.9", "10.13.3.9-1+cuda13.0", True),
        ("8.6.1.6+cuda12.0.1.011", "8.6.1.6", True),
        ("8.6.3", "8.6.3.1", True),
        ("8.6.3.1", "8.6.3", True),
        ("8.6.3", "8.6.1.6", False),
        ("10.1.0.27", "10.10.0.31", False),
        ("10.13.3.9", "10.13.3.90", False),
        ("absent", "10.13.3.9", False),
        ("", "", False),
    ],
)
def test_the_same_tensorrt_as_far_as_both_are_told(a, b, same):
    assert releases.same_tensorrt(a, b) is same


# Asking an image


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_an_image_is_asked(programs_on_path, program):
    programs_on_path(program, says("PATH=/usr/bin", "TRT_VERSION=10.13.3.9", "NVIDIA_TRITON_SERVER_VERSION=25.09"))
    assert releases.tensorrt_of_image("my/image:1") == "10.13.3.9"


def test_a_suffix_is_left_out(programs_on_path):
    programs_on_path("docker", says("TRT_VERSION=8.6.1.6+cuda12.0.1.011"))
    assert releases.tensorrt_of_image("my/image:1") == "8.6.1.6"


def test_podman_is_asked_where_docker_does_not_know(programs_on_path):
    programs_on_path("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    programs_on_path("podman", says("TRT_VERSION=10.9.0.34"))
    assert releases.tensorrt_of_image("my/image:1") == "10.9.0.34"


def test_without_a_container_program_nobody_knows(programs_on_path):
    assert releases.tensorrt_of_image("my/image:1") is None


@pytest.mark.parametrize(
    "line",
    [
        "echo 'No such image' >&2; exit 1",
        says("TRT_VERSION=10.9.0.34") + "; exit 1",
        says("PATH=/usr/bin"),
        says("TRT_VERSION="),
        """echo '{"Id": "sha256:1", "Config": null}'""",
        """echo '{"Config": {"Env": ["TRT_VERSION=10.9.0.34"]}}'""",
        "echo null",
        "echo no JSON",
        "exit 0",
    ],
)
def test_an_image_that_does_not_tell(programs_on_path, line):
    programs_on_path("docker", line)
    assert releases.tensorrt_of_image("my/image:1") is None


def test_a_service_that_hangs_is_not_waited_for(programs_on_path, monkeypatch):
    programs_on_path("docker", "/bin/sleep 5 > /dev/null 2>&1", says("TRT_VERSION=10.9.0.34"))
    monkeypatch.setattr(container_programs, "ANSWER_S", 0.2)
    assert releases.tensorrt_of_image("my/image:1") is None, "its answer after 5 s was waited for"


def test_importing_it_imports_no_framework():
    code = (
        "import slipway.triton.server.releases, slipway.keys.version_lock; "
        "print(*sorted(set(sys.modules) & {'torch', 'numpy', 'tritonclient', 'openvino', 'tensorrt', 'psutil'}))"
    )
    assert printed(code) == ""


def test_the_oldest_release_in_the_schema_is_the_first_without_known_vulnerabilities():
    assert read_schema()["properties"]["triton"]["properties"]["oldest"]["default"] == releases.FLOOR
