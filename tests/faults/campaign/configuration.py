"""Configuration: ports that others have, hosts, time limits, changes between deployments, odd environments."""

import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml
from faults.campaign.fault import NotHere, fault, faults
from faults.campaign.scene import LIVE, NEXT, told_well
from helpers.certificates import Authority
from helpers.workplace import CLOSED_PROXIES, Workplace

from slipway.triton.client.ports import Ports


@contextlib.contextmanager
def elsewhere(scene, **ports):
    """Let what is deployed in the block listen at other ports, as after an edit of config.yaml."""
    scene.place.served_at = replace(Ports.free(), **ports)
    scene.clients.listened_since = math.inf
    try:
        yield scene.place.served_at
    finally:
        scene.place.served_at = scene.ports
        scene.clients.listened_since = time.monotonic()


@contextlib.contextmanager
def silent_listener(port, host="127.0.0.1", family=socket.AF_INET):
    """Listen on a port, accept whoever comes, and say nothing."""
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen()
        yield


@contextlib.contextmanager
def web_server(port):
    """Answer every request with 200, as a server of somebody else would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


LISTENERS = {"says nothing": silent_listener, "is a web server": web_server}
TAKEN = {f"{kind}, and {how}": (kind, listen) for kind in ("grpc", "metrics") for how, listen in LISTENERS.items()}


@faults(TAKEN)
def a_port_is_taken_by_a_stranger_who(scene, case):
    kind, listen = case
    with elsewhere(scene) as ports, listen(getattr(ports, kind)):
        scene.deploy(NEXT, allowed=False).refused("is taken by", "nothing was changed")


@fault
def a_port_of_the_dead_server_was_taken_by_a_stranger(scene):
    scene.kill(scene.server)
    with contextlib.suppress(OSError), silent_listener(scene.ports.grpc):
        scene.deploy(LIVE).refused("is taken by")
        scene.run("status")
        scene.rollback(allowed=False)


@fault
def the_new_ports_are_those_of_another_checkouts_server(scene):
    other = Workplace(made(scene.place.folder.parent / "other"))
    other.served_at = Ports.free()
    own, scene.place = scene.place, other
    try:
        scene.deploy(NEXT, allowed=False).succeeded()
        scene.place = own
        with elsewhere(scene, grpc=other.served_at.grpc, metrics=other.served_at.metrics):
            scene.deploy(NEXT, allowed=False).refused("is taken by")
    finally:
        scene.place = other
        scene.run("undeploy").succeeded()
        scene.place = own


def made(folder):
    folder.mkdir(exist_ok=True)
    return folder


@fault
def the_ports_are_in_use_on_ipv6_only(scene):
    with elsewhere(scene) as ports:
        try:
            with silent_listener(ports.grpc, "::1", socket.AF_INET6):
                scene.deploy(NEXT)
        except OSError:
            raise NotHere("this machine has no IPv6") from None


@fault
def gRPC_and_metrics_have_the_same_port(scene):
    free = Ports.free()
    with elsewhere(scene, grpc=free.grpc, metrics=free.grpc):
        scene.deploy(NEXT, allowed=False).refused("error: ")


HOSTS = {"nobody's": "nowhere.invalid", "another machine's": "192.0.2.1", "noise": "%%", "empty": "", "IPv6": "::1"}


@faults({f"{how} ({host})": host for how, host in HOSTS.items()})
def the_host_is(scene, host):
    with elsewhere(scene):
        scene.deploy(NEXT, "--host", host, allowed=False).refused("error: ")


@fault
def the_host_is_a_name_of_this_machine(scene):
    with elsewhere(scene):
        scene.deploy(NEXT, "--host", "localhost")
        scene.run("status").succeeded()


@fault
def others_are_let_in_to_a_vulnerable_triton(scene):
    scene.deploy(NEXT, "--host", "0.0.0.0", allowed=False).refused("error: ")


@faults({"a hundredth of a second": 0.01, "nothing": 0, "less than nothing": -5, "half a second": 0.5})
def ready_timeout_s_is(scene, seconds):
    scene.deploy(NEXT, "--ready-timeout-s", seconds)
    scene.rollback("--ready-timeout-s", seconds)


@fault
def ready_timeout_s_is_tiny_when_a_dead_server_is_to_be_started(scene):
    scene.kill(scene.server)
    scene.deploy(LIVE, "--ready-timeout-s", 0.01).refused("was not ready within")


@fault
def the_ports_change_while_it_is_live(scene):
    with elsewhere(scene):
        scene.deploy(NEXT).succeeded()
        scene.rollback().succeeded()


@fault
def the_ports_change_and_the_new_version_does_not_hold(scene):
    scene.trainings[NEXT].write_index(index_key(scene), 0.001)
    try:
        with elsewhere(scene):
            scene.deploy(NEXT, allowed=False).refused("above the limit")
    finally:
        scene.trainings[NEXT].write_index(index_key(scene), 2000)


def index_key(scene):
    from slipway.core.artifacts import read_json

    return read_json(scene.trainings[NEXT].index)["engine_key"]


@fault
def the_ports_change_and_deploy_is_killed_between_the_servers(scene):
    with elsewhere(scene):
        scene.start("deploy", NEXT).until("has to be started anew", 0.5).send(9).end()
        scene.run("status")


@fault
def the_metrics_port_alone_changes(scene):
    with elsewhere(scene, grpc=scene.ports.grpc):
        scene.deploy(NEXT).succeeded()


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
