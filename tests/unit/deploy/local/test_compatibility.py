import sys
from importlib import metadata
from pathlib import Path

import pytest
from helpers.models.engine_keys import H100, NATIVE, OPENVINO, TENSORRT, openvino_key

from slipway.core import hardware
from slipway.core.errors import SlipwayError
from slipway.deploy.local.compatibility import Host, require_fit

pytestmark = pytest.mark.usefixtures("an_h100")


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that makes an interpreter which sees one more distribution."""

    def make(name: str, version: str) -> Path:
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wrapper = tmp_path / f"python-{version}"
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}/site" exec "{sys.executable}" "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    return make


def container(**variables: str) -> Host:
    return Host(native_backends=True, environment=variables)


def refusal(key: dict, host: Host, *args) -> str:
    with pytest.raises(SlipwayError) as caught:
        require_fit("m_trt", key, host, *args)
    return str(caught.value)


# Hardware


def test_another_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(hardware, "gpu_identity", lambda: "NVIDIA L4 (compute capability 8.9)")
    message = refusal(TENSORRT, container(TRT_VERSION="10.13.3.9"))
    assert H100 in message
    assert "NVIDIA L4" in message


def test_no_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(hardware, "gpu_identity", lambda: None)
    assert "finds no GPU here" in refusal(TENSORRT, container(TRT_VERSION="10.13.3.9"))


def test_another_cpu_is_refused():
    assert "'Another CPU [avx2] x4'" in refusal(openvino_key(hardware="Another CPU [avx2] x4"), Host(False))


# Under the Python backend: what the interpreter has


def test_the_interpreter_that_was_named_is_asked(interpreter):
    python = interpreter("tensorrt", "10.13.3.9")
    assert require_fit("m_trt", TENSORRT, Host(False, python)) == {
        "hardware": True,
        "runtime": True,
        "runtime_version": "10.13.3.9",
        "source": f"the packages of {python}",
    }


@pytest.mark.parametrize("version", ["10.9.0.34", "10.14.1.48"])
def test_another_tensorrt_in_the_interpreter_is_refused(interpreter, version):
    python = interpreter("tensorrt", version)
    message = refusal(TENSORRT, Host(False, python))
    assert message.startswith(f"m_trt was built by tensorrt 10.13.3.9, but {version} would run it")
    assert str(python) in message
    assert "install 10.13.3.9 there" in message
    assert "run snakemake again" in message


def test_an_interpreter_without_tensorrt_is_refused():
    message = refusal(TENSORRT, Host(False, Path("/nowhere/python")))
    assert "was built by tensorrt 10.13.3.9, which /nowhere/python does not have" in message


def test_a_version_compatible_engine_may_run_under_later_tensorrt(interpreter):
    python = interpreter("tensorrt", "10.14.1.48")
    compatible = TENSORRT | {"builder": {"compatibility": "version"}}
    assert require_fit("m_trt", compatible, Host(False, python))["runtime_version"] == "10.14.1.48"
    assert "10.14.1.48 would run it" in refusal(
        TENSORRT | {"builder": {"compatibility": "hardware"}}, Host(False, python)
    )


def test_tensorrt_for_rtx_must_be_the_very_version():
    version = metadata.version("tensorrt-rtx-cu13")
    key = TENSORRT | {"runtime": "tensorrt_rtx", "runtime_version": version}
    assert require_fit("m_rtx", key, Host(False))["runtime_version"] == version
    assert "install 1.0.0.1 there" in refusal(key | {"runtime_version": "1.0.0.1"}, Host(False))


def test_openvino_as_it_was_is_verified():
    assert require_fit("m_trt", openvino_key(), Host(False))["runtime"]


@pytest.mark.parametrize("built", ["2020.1.0", "2999.1.0", OPENVINO["runtime_version"].rpartition(".")[0]])
def test_another_openvino_is_refused_newer_or_older(built):
    message = refusal(openvino_key(runtime_version=built), Host(False))
    assert f"was built by openvino {built}, but {OPENVINO['runtime_version']} would run it" in message
    assert message.endswith("run snakemake again, which builds with what is there")


def test_onnxruntime_is_asked_by_its_packages_name():
    key = openvino_key(runtime="onnxruntime", runtime_version=metadata.version("onnxruntime-gpu"))
    assert require_fit("m_trt", key, Host(False))["runtime"]


# Under a server's own backends


def test_nvidias_container_says_which_tensorrt_it_has():
    found = require_fit("m_trt", TENSORRT, container(TRT_VERSION="10.13.3.9-1+cuda13.0"))
    assert found["runtime"]
    assert found["source"] == "TRT_VERSION in the server's container"


def test_a_container_with_another_tensorrt_is_refused():
    message = refusal(TENSORRT | {"runtime_version": "10.9.0.34"}, container(TRT_VERSION="10.13.3.9"))
    assert "was built by tensorrt 10.9.0.34, but 10.13.3.9 would run it" in message
    assert "serve with a Triton release that has 10.9.0.34 (25.03 or 25.04)" in message
    assert "build with the one that serves" in message


def test_a_tensorrt_of_no_known_release_is_said_so():
    assert "(none is known here)" in refusal(
        TENSORRT | {"runtime_version": "10.9.9.9"}, container(TRT_VERSION="10.13.3.9")
    )


def test_a_container_that_tells_its_release_alone_is_looked_up():
    host = container(NVIDIA_TRITON_SERVER_VERSION="25.09")
    assert require_fit("m_trt", TENSORRT, host)["source"] == "the table of releases, for Triton 25.09"
    assert "10.9.0.34 would run it" in refusal(TENSORRT, container(NVIDIA_TRITON_SERVER_VERSION="25.04"))


def test_before_the_start_a_server_without_a_word_is_not_verified():
    found = require_fit("m_trt", TENSORRT, NATIVE)
    assert (found["runtime"], found["runtime_version"]) == (False, None)
    assert "version is not known yet" in found["source"]


def test_a_running_server_states_its_version_which_is_looked_up():
    assert require_fit("m_trt", TENSORRT, NATIVE, "2.61.0")["runtime_version"] == "10.13.3.9"
    assert "10.9.0.34 would run it" in refusal(TENSORRT, NATIVE, "2.57.0")


def test_a_running_server_that_nobody_knows_is_not_verified():
    found = require_fit("m_trt", TENSORRT, NATIVE, "9.9.9")
    assert not found["runtime"]
    assert "Triton 9.9.9" in found["source"]


def test_a_server_does_not_tell_its_openvino():
    found = require_fit("m_trt", openvino_key(), container(TRT_VERSION="10.13.3.9"))
    assert (found["hardware"], found["runtime"], found["runtime_version"]) == (True, False, None)


def test_the_servers_environment_is_this_programs_unless_another_is_given(monkeypatch):
    monkeypatch.setenv("TRT_VERSION", "10.13.3.9")
    assert require_fit("m_trt", TENSORRT, Host(native_backends=True))["runtime_version"] == "10.13.3.9"
