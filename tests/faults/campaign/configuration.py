"""Configuration: time limits, TLS, odd environments, and files that are no configuration."""

import os
import subprocess
import sys

import yaml
from faults.campaign.addresses import elsewhere
from faults.campaign.commands import told_well
from faults.campaign.disk import made
from faults.campaign.fault import fault, faults
from faults.campaign.scene import LIVE, NEXT
from helpers.certificates import Authority
from helpers.workplace import CLOSED_PROXIES, Workplace

from slipway.triton.client.ports import Ports


@faults({"a hundredth of a second": 0.01, "nothing": 0, "less than nothing": -5, "half a second": 0.5})
def ready_timeout_s_is(scene, seconds):
    scene.deploy(NEXT, "--ready-timeout-s", seconds)
    scene.rollback("--ready-timeout-s", seconds)


@fault
def ready_timeout_s_is_tiny_when_a_dead_server_is_to_be_started(scene):
    scene.kill(scene.server)
    scene.deploy(LIVE, "--ready-timeout-s", 0.01).refused("was not ready within")


@fault
def tls_is_turned_on_and_off_while_it_is_live(scene):
    certificate, key = Authority(made(scene.folder / "tls"), "ca").issue("localhost", "localhost")
    with elsewhere(scene):
        scene.deploy(NEXT, "--host", "localhost", *tls(certificate, key)).succeeded()
        scene.run("status").succeeded()
        certificate.unlink()
        scene.run("status")
        scene.rollback()


@faults({"noise": b"\x00noise", "empty": b"", "a key": None})
def the_certificate_is(scene, content):
    certificate, key = Authority(made(scene.folder / "tls"), "ca").issue("localhost", "localhost")
    certificate.write_bytes(key.read_bytes() if content is None else content)
    with elsewhere(scene):
        scene.deploy(NEXT, "--host", "localhost", *tls(certificate, key), allowed=False).refused("error: ")


def tls(certificate, key):
    return "--tls-certificate", certificate, "--tls-key", key


@faults({"HTTP": ("--http-port", Ports.free().http), "shared memory": ("--shared-memory",)})
def what_the_server_offers_changes_while_it_is_live(scene, option):
    scene.deploy(NEXT, *option).succeeded()


@faults({"is not there": "/nowhere/python", "is no interpreter": "/bin/false", "hangs": None})
def the_interpreter_of_tensorrt(scene, python):
    hanging = scene.folder / "hanging"
    hanging.write_text("#!/bin/sh\nexit 3\n")
    hanging.chmod(0o755)
    scene.deploy(NEXT, "--tensorrt-python", python or hanging)


def programs(scene, text):
    """Return an environment in which PATH has a tritonserver of this text first."""
    folder = made(scene.folder / "programs")
    (folder / "tritonserver").write_text(text)
    (folder / "tritonserver").chmod(0o755)
    made(scene.folder / "backends")
    made(scene.folder / "backends" / "openvino")
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@faults(
    {
        "ends at once": "#!/bin/sh\nexit 1\n",
        "is no program": "\x00\x01",
        "never gets ready": "#!/bin/sh\nexec sleep 600\n",
    }
)
def a_tritonserver_on_PATH(scene, text):
    scene.deploy(NEXT, "--ready-timeout-s", 3, allowed=True, **programs(scene, text))


ENVIRONMENTS = {
    "the C locale": {"LC_ALL": "C", "LANG": "C"},
    "proxies that nobody answers at": CLOSED_PROXIES,
    "a PYTHONPATH that is not there": {"PYTHONPATH": "/nowhere"},
    "another time zone": {"TZ": "Pacific/Kiritimati"},
    "a terminal of no width": {"COLUMNS": "0", "TERM": "dumb"},
    "gRPC's own debugging": {"GRPC_VERBOSITY": "ERROR", "GRPC_ENABLE_FORK_SUPPORT": "1"},
}


@faults(ENVIRONMENTS)
def the_environment_has(scene, environment):
    scene.deploy(NEXT, **environment).succeeded()
    scene.run("status", **environment).succeeded()


CONFIGURATIONS = {
    "a port of text": ("deploy.grpc_port", "eight"),
    "a port too high": ("deploy.grpc_port", 70000),
    "two equal ports": ("deploy.metrics_port", 8001),
    "a host of a list": ("deploy.host", []),
    "no ready_timeout_s": ("deploy.ready_timeout_s", 0),
    "an endless ready_timeout_s": ("deploy.ready_timeout_s", 1e12),
    "keep_versions of nothing": ("deploy.keep_versions", 0),
    "a key that nobody knows": ("deploy.prot", 1),
    "a public key that is not there": ("deploy.signing.public_key", "nowhere.pem"),
    "half of TLS": ("deploy.tls.certificate", "nowhere.pem"),
}


@faults(CONFIGURATIONS)
def config_yaml_has(scene, case):
    key, value = case
    place = Workplace(made(scene.folder / "configured"))
    place.configure("deploy.grpc_port", 8001)
    place.configure(key, value)
    outcome = told_well(place.run(place.snakemake_command("-n", "deploy")))
    assert outcome.code, "it was accepted"
    assert "error" in outcome.said.lower() or "config: " in outcome.said


@faults(
    {
        "noise": b"\x00\xff\xfe",
        "empty": b"",
        "a list": b"- a\n",
        "unended": yaml.safe_dump({"a": 1}).encode() + b"b: [\n",
    }
)
def config_yaml_is(scene, content):
    place = Workplace(made(scene.folder / "configured"))
    place.path("config.yaml").write_bytes(content)
    outcome = told_well(place.run(place.snakemake_command("-n", "deploy")))
    assert outcome.code, "it was accepted"


@fault
def deploy_writes_into_a_pipe_that_nobody_reads(scene):
    scene.allow(NEXT)
    words = list(map(str, scene.place.program_command("deploy", *scene.options(NEXT))))
    process = subprocess.Popen(words, cwd=scene.place.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process.stdout.close()
    process.wait(timeout=120)


@fault
def deploy_has_no_standard_streams(scene):
    scene.allow(NEXT)
    words = list(map(str, scene.place.program_command("deploy", *scene.options(NEXT))))
    closed = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *words]
    assert subprocess.run(closed, cwd=scene.place.folder, timeout=120, check=False).returncode in (0, 1)
    assert sys.stdout
