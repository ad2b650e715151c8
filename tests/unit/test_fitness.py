import sys
from argparse import Namespace
from importlib import metadata
from pathlib import Path

import pytest

import deploy
from slipway import hardware
from slipway.errors import SlipwayError
from slipway.triton import fitness, place, receipts
from slipway.triton.fitness import Host, require_fit
from slipway.triton.server import Installation, Ports
from slipway.triton.smoke_test import Expected
from slipway.triton.store import Published, Store

PORTS = Ports(1, 2, 3)

H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"
# The release 25.09 has TensorRT 10.13.3.9, and its server is 2.61.0; 25.03 and 25.04 have 10.9.0.34.
TENSORRT = {
    "runtime": "tensorrt",
    "runtime_version": "10.13.3.9",
    "hardware": H100,
    "precision": "fp16",
    "cuda": "cu13",
    "builder": {"compatibility": "none"},
}
OPENVINO = {"runtime": "openvino", "runtime_version": metadata.version("openvino"), "precision": "fp32"}
NATIVE = Host(native_backends=True, environment={})


@pytest.fixture(autouse=True)
def an_h100(monkeypatch):
    monkeypatch.setattr(hardware, "gpu_identity", lambda: H100)


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that makes an interpreter which sees one more distribution."""

    def make(name: str, version: str) -> Path:
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wrapper = tmp_path / f"python-{version}"
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    return make


def container(**variables: str) -> Host:
    return Host(native_backends=True, environment=variables)


def openvino_key(**changes) -> dict:
    return OPENVINO | {"hardware": hardware.cpu_identity()} | changes


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
        "told_by": f"the packages of {python}",
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
    assert found["told_by"] == "TRT_VERSION in the server's container"


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
    assert require_fit("m_trt", TENSORRT, host)["told_by"] == "the table of releases, for Triton 25.09"
    assert "10.9.0.34 would run it" in refusal(TENSORRT, container(NVIDIA_TRITON_SERVER_VERSION="25.04"))


def test_before_the_start_a_server_without_a_word_is_not_verified():
    found = require_fit("m_trt", TENSORRT, NATIVE)
    assert (found["runtime"], found["runtime_version"]) == (False, None)
    assert "version is not known yet" in found["told_by"]


def test_a_running_server_states_its_version_which_is_looked_up():
    assert require_fit("m_trt", TENSORRT, NATIVE, "2.61.0")["runtime_version"] == "10.13.3.9"
    assert "10.9.0.34 would run it" in refusal(TENSORRT, NATIVE, "2.57.0")


def test_a_running_server_that_nobody_knows_is_not_verified():
    found = require_fit("m_trt", TENSORRT, NATIVE, "9.9.9")
    assert not found["runtime"]
    assert "Triton 9.9.9" in found["told_by"]


def test_a_server_does_not_tell_its_openvino():
    found = require_fit("m_trt", openvino_key(), container(TRT_VERSION="10.13.3.9"))
    assert (found["hardware"], found["runtime"], found["runtime_version"]) == (True, False, None)


def test_the_servers_environment_is_this_programs_unless_another_is_given(monkeypatch):
    monkeypatch.setenv("TRT_VERSION", "10.13.3.9")
    assert require_fit("m_trt", TENSORRT, Host(native_backends=True))["runtime_version"] == "10.13.3.9"


# In the deployment


def version_of(key: dict) -> Published:
    index = {
        "name": "m_trt",
        "engine_key": key,
        "origin": "rehearsal",
        "chain": {},
        "files": {},
        "input_dtype": "float32",
        "proven_on_labels": False,
    }
    return Published(1, index, "sha", Expected("m_trt", None, None, [], {}))


def deployment(key: dict) -> deploy.Deployment:
    index = version_of(key).index
    return deploy.Deployment("m", Path("repository/m_trt"), index, Path("golden.npz"), Path("receipt.json"))


@pytest.fixture
def options(tmp_path):
    return Namespace(
        host="127.0.0.1",
        http_port=1,
        grpc_port=2,
        metrics_port=3,
        ready_timeout_s=1,
        tensorrt_python=None,
        start=1,
        state=tmp_path / "state",
    )


def never(*_, **__):
    pytest.fail("something was about to change")


def test_an_unfit_engine_stops_the_deployment_before_anything_changes(monkeypatch, options):
    for name in ("try_beside", "switch", "write_json"):
        monkeypatch.setattr(deploy, name, never)
    monkeypatch.setattr(Store, "publish", never)
    monkeypatch.setattr(deploy, "require_own_ports", lambda *_: None)
    monkeypatch.setattr(deploy, "read_deployments", lambda _: [deployment(openvino_key(runtime_version="2020.1.0"))])
    with pytest.raises(SlipwayError, match=r"built by openvino 2020\.1\.0.* Nothing was changed\."):
        deploy.main(options)


def test_the_interpreter_of_tensorrt_runs_tensorrts_engines_alone(monkeypatch, tmp_path):
    asked, python = [], Path("/opt/tensorrt/bin/python")

    def find(workspace, backends, python):
        asked.append(python)
        return Installation("tritonserver", native_backends=False)

    monkeypatch.setattr(place, "find_installation", find)
    assert place.find_place([TENSORRT], tmp_path, python, 1).host.python == python
    assert place.find_place([openvino_key()], tmp_path, python, 1).host.python is None
    assert asked == [python, None]


@pytest.fixture
def answering(monkeypatch):
    """Return a function that makes every smoke test succeed against a server of a version."""

    class Client:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def serve(version: str) -> None:
        monkeypatch.setattr(receipts, "ModelClient", Client)
        monkeypatch.setattr(receipts, "smoke_test", lambda *_: {"server_version": version, "latency_ms": 1, "top": []})

    return serve


def test_the_engine_is_compared_with_the_server_that_runs(answering):
    answering("2.61.0")
    (proof,) = receipts.prove([version_of(TENSORRT)], NATIVE, PORTS)
    assert proof["verified"]["runtime_version"] == "10.13.3.9"
    answering("2.57.0")
    with pytest.raises(SlipwayError, match=r"10\.9\.0\.34 would run it"):
        receipts.prove([version_of(TENSORRT)], NATIVE, PORTS)


def test_the_receipt_says_what_was_not_verified(answering, capsys):
    answering("9.9.9")
    made = version_of(TENSORRT)
    proofs = receipts.prove([made], NATIVE, PORTS)
    receipt = receipts.receipt("m", made, proofs[0], {})
    assert receipt["verified"] == fitness.require_fit("m_trt", TENSORRT, NATIVE, "9.9.9")
    assert receipt["verified"]["runtime"] is False
    assert receipt["smoke_test"]["server_version"] == "9.9.9"
    receipts.announce([made], proofs, PORTS)
    assert "not verified: the version that runs the engine" in capsys.readouterr().err
