"""Which Triton others may reach on this machine, and what is said of one that is known to be vulnerable."""

import copy

import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.server_validation import require_servers
from slipway.keys.validation import resolve
from slipway.triton.server import releases
from slipway.triton.server.exposure import require_accepted
from slipway.triton.server.server_options import ServerChoice

CPU = "AMD EPYC [avx2] x2"


def configured(host, **triton):
    config = {
        "models": {"m": {}},
        "targets": {"cpu": {"runtime": "openvino", "precisions": ["fp32"], "hardware": CPU}},
        "deploy": {"host": host},
        "triton": triton,
    }
    return resolve(complete(copy.deepcopy(config)))


def test_the_wheels_server_is_known_by_the_wheel():
    assert configured("127.0.0.1", run="wheel").server("cpu").release_here == "24.10"
    assert releases.release_with("triton", "24.10").server == "2.51.0"


def test_a_server_on_path_is_known_by_its_container(monkeypatch):
    monkeypatch.setenv("NVIDIA_TRITON_SERVER_VERSION", "26.08")
    assert ServerChoice("path").release_here == "26.08"
    require_accepted("0.0.0.0", ServerChoice("path"), "26.07")
    monkeypatch.delenv("NVIDIA_TRITON_SERVER_VERSION")
    with pytest.raises(SlipwayError, match="whose release is unknown: leave it at"):
        require_accepted("0.0.0.0", ServerChoice("path"), "26.07")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.7", "gpu7"])
def test_others_reach_a_vulnerable_server_only_where_that_is_accepted_which_is_told_while_planning(host):
    with pytest.raises(SlipwayError) as caught:
        require_servers(configured(host))
    told = str(caught.value)
    assert f"`deploy.host` {host} would let others reach the server of this machine, Triton 24.10" in told
    assert "known since 2025-08-04 (CVE-2025-23310 and others)" in told
    assert '`triton.oldest: "24.10"`. Nothing was changed' in told
    require_servers(configured(host, oldest="24.10"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_of_this_machine_alone_needs_no_word(host):
    require_servers(configured(host))


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("2.51.0", ["VULNERABLE Triton 24.10, known since 2025-08-04 (CVE-2025-23310 and others)"]),
        ("2.69.0", ["VULNERABLE Triton 26.05, mended by 26.07"]),
        ("2.54.0", ["VULNERABLE Triton server 2.54.0, known since 2025-08-04 (CVE-2025-23310 and others)"]),
        ("2.71.0", []),
        ("9.9.9", []),
        (None, []),
    ],
)
def test_what_is_said_of_a_release(server, told):
    assert releases.cautions(server) == told


def test_http_and_shared_memory_are_off_unless_they_are_asked_for():
    settings = JobKeys(configured("127.0.0.1")).deploy_release()
    assert "http_port" not in settings
    assert settings["shared_memory"] is False
    asked = {"models": {"m": {}}, "targets": {"cpu": {}}, "deploy": {"http": True, "shared_memory": True}}
    settings = JobKeys(resolve(complete(asked))).deploy_release()
    assert (settings["http_port"], settings["shared_memory"]) == (8000, True)
