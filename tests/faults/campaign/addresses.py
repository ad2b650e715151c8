"""Addresses: ports that others have, hosts, and changes of both between deployments."""

import contextlib
import math
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from faults.campaign.disk import made
from faults.campaign.fault import NotHere, fault, faults
from faults.campaign.scene import LIVE, NEXT
from helpers.workplace import Workplace

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
        scene.trainings[NEXT].write_index(index_key(scene), 60_000)


def index_key(scene):
    from slipway.core.artifacts import read_json

    return read_json(scene.trainings[NEXT].index)["engine_key"]


@fault
def the_ports_change_and_deploy_is_killed_between_the_servers(scene):
    with elsewhere(scene):
        scene.start("deploy", NEXT).until("has to be restarted", 0.5).send(9).end()
        scene.run("status")


@fault
def the_metrics_port_alone_changes(scene):
    with elsewhere(scene, grpc=scene.ports.grpc):
        scene.deploy(NEXT).succeeded()
