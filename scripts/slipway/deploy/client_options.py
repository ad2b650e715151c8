"""The options that all clients share: the server, its model, TLS, and how long and how often to ask."""

import argparse
import math
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.deploy.local import server_state
from slipway.deploy.local.deployed_model import ServedModel, deployed_model
from slipway.triton.client.endpoint import Endpoint, Tls


def add_server(arguments: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options for the server, its model, and its TLS; return their group."""
    group = arguments.add_argument_group("server")
    group.add_argument("--url", help="HOST:PORT of its gRPC API; left out, the server that this checkout deployed")
    group.add_argument("--model", help="name of the model; left out, the only one there")
    group.add_argument("--model-version", default="", help="its version; left out, the server chooses")
    group.add_argument("--tls", action="store_true", help="speak TLS")
    group.add_argument("--ca", type=Path, help="authority to trust (PEM); left out, gRPC's own")
    group.add_argument("--certificate", type=Path, help="certificate of this client (PEM), for mutual TLS")
    group.add_argument("--key", type=Path, help="private key of this client (PEM), for mutual TLS")
    group.add_argument("--server-name", help="name in the server's certificate, where that is not the host")
    group.add_argument(
        "--state", type=Path, default=server_state.FOLDER, help="folder of the deployed server's state, without --url"
    )
    return group


def add_sending(arguments: argparse.ArgumentParser, batch: str) -> argparse._ArgumentGroup:
    """Add the options for the requests, with the help text of --batch; return their group."""
    group = arguments.add_argument_group("sending")
    group.add_argument("--deadline-ms", type=float, default=30000, help="longest wait for an answer, retries included")
    group.add_argument(
        "--retries", type=int, default=4, help="further tries, ever later, while the server is away or its queue full"
    )
    group.add_argument("--batch", type=int, help=batch)
    return group


def require_sensible(arguments: argparse.Namespace, **lowest: int) -> None:
    """Raise SlipwayError with the option if its value, or its presence, makes no sense.

    `lowest` has the lowest values of further options of a client.
    """
    for name, low in {"batch": 1, "retries": 0, "deadline_ms": 1, **lowest}.items():
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise SlipwayError(f"--{name.replace('_', '-')} {value} is too low; the lowest is {low}")
    if not math.isfinite(arguments.deadline_ms):
        raise SlipwayError("--deadline-ms takes finite numbers; give others, or leave it out")
    for name in ("ca", "certificate", "key", "server_name"):
        if getattr(arguments, name) and not arguments.tls:
            raise SlipwayError(f"--{name.replace('_', '-')} is for TLS; add --tls, or leave it out")


def served_model(arguments: argparse.Namespace) -> ServedModel:
    """Return the model on the server of --url, else the one that this checkout deployed."""
    tls = Tls(arguments.ca, arguments.certificate, arguments.key, arguments.server_name) if arguments.tls else None
    if arguments.url:
        return ServedModel(Endpoint.parse(arguments.url, tls), arguments.model)
    return deployed_model(arguments.state, arguments.model, tls)
