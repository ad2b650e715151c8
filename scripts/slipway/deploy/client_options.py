"""The options that all clients share: the server, its model, TLS, the deadline, the retries and the batch size.

Without --url, a client uses the server that the last deployment of this checkout started on this machine.
"""

import argparse
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.records import require_record
from slipway.deploy.local import server_state
from slipway.deploy.receipts import local_receipts
from slipway.triton.client.endpoint import Endpoint, Tls, endpoint_of
from slipway.triton.client.ports import Ports


@dataclass(frozen=True)
class ServedModel:
    """A model on a server, as a client's options select it: the endpoint of the server, and the model's name there.

    `name` is None if --url is given without --model: then the client looks for the only model. `preprocess` has the
    model's preprocessing settings, {} if they are unknown. `rehearsal`: the weights are random.
    """

    endpoint: Endpoint
    name: str | None
    preprocess: dict = field(default_factory=dict)
    rehearsal: bool = False


USUAL_BATCH = 8


def add_server(arguments: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options that select the server, the model and TLS to `arguments`; return the group of these options."""
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


def add_sending(arguments: argparse.ArgumentParser, units: str = "samples") -> argparse._ArgumentGroup:
    """Add the options for the requests to `arguments`; return the group of these options.

    `units` is the word for the model's samples in the help text.
    """
    group = arguments.add_argument_group("sending")
    group.add_argument("--deadline-ms", type=float, default=30000, help="longest wait for an answer, retries included")
    group.add_argument(
        "--retries", type=int, default=4, help="further tries, ever later, while the server is away or its queue full"
    )
    batch = f"{units} in one request; left out, {USUAL_BATCH} or as many as the model takes"
    group.add_argument("--batch", type=int, help=batch)
    return group


def require_sensible(arguments: argparse.Namespace, **lowest: int) -> None:
    """Raise SlipwayError if an option's value is too low or not finite, or if a TLS option is given without --tls.

    `lowest` has the lowest values of further options that only this client has, such as top=1 for --top.
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


def batch_size(model: str, largest: int | None, requested: int | None, units: str = "samples") -> int:
    """Return the number of samples that a client sends in one request: `requested`, else at most USUAL_BATCH.

    `largest` is the largest batch of the model, None without a limit; the result is never above it. `units` is the word
    for samples in the error. Raises SlipwayError if `requested` is above `largest`.
    """
    if requested and largest and requested > largest:
        raise SlipwayError(
            f"{model} takes at most {largest} {units} a request, not {requested}; give --batch {largest} or less"
        )
    return requested or min(USUAL_BATCH, largest or USUAL_BATCH)


def served_model(arguments: argparse.Namespace) -> ServedModel:
    """Return the model to which a client sends its requests, from the options of `add_server`.

    Without --url, it is a model on the server that this checkout deployed; --model may be its name in config.yaml or
    its name on the server. Then raises SlipwayError if no such server runs, or unless exactly one live model matches.
    """
    tls = Tls(arguments.ca, arguments.certificate, arguments.key, arguments.server_name) if arguments.tls else None
    if arguments.url:
        return ServedModel(Endpoint.parse(arguments.url, tls), arguments.model)
    if (state := server_state.recorded_server(arguments.state)) is None:
        raise SlipwayError(
            "no server of this checkout is live; run `make deploy`, or name another's with --url HOST:PORT"
        )
    results = arguments.state.parent
    receipt = _receipt_of(results, state["pid"], arguments.model)
    reference = require_record(
        results / receipt["model"] / "reference_outputs.json", {"weights_sha256": str}, "run snakemake again"
    )
    (served,) = receipt["targets"].values()
    preprocess = reference.get("preprocess", {})
    if preprocess and reference["weights_sha256"] != served["chain"]["weights_sha256"]:
        progress("other weights were built since the deployment; their preprocessing is used, which may differ")
    own, rehearsal = endpoint_of(Ports.of(state["listening"])), receipt["origin"] == "rehearsal"
    return ServedModel(replace(own, tls=tls or own.tls), receipt["served_as"], preprocess, rehearsal)


def _receipt_of(results: Path, pid: int, name: str | None) -> dict:
    """Return the receipt of a model on the server with the process id `pid`: the record of the model's deployment.

    `results` is the folder results/. `name` is the model's name in config.yaml or on the server; None selects the only
    model. Raises SlipwayError unless exactly one model matches.
    """
    live = [receipt for receipt in local_receipts(results) if receipt["contents"].get("server", {}).get("pid") == pid]
    matching = [receipt for receipt in live if name in (None, receipt["model"], receipt["served_as"])]
    if len(matching) != 1:
        deployed = ", ".join(receipt["served_as"] for receipt in live) or "none yet"
        raise SlipwayError(f"name with --model one of the models that are deployed here: {deployed}")
    return matching[0]
