"""The last words of a deployment: each model's answer to the sample, the addresses, and what to type next."""

from pathlib import Path

from slipway.core.cli import progress
from slipway.core.templates import document
from slipway.outputs.meaning import Meaning
from slipway.outputs.presentation import SAMPLE, lines_of, prefixed
from slipway.triton.client.ports import Ports
from slipway.triton.server import releases

# It shows what a deployment did, and is no part of it.
PART_OF_KEYS = False
TEMPLATE = Path(__file__).with_name("announcement.txt.j2")


def announce(receipts: dict[str, dict], options: str = "") -> None:
    """Print the live models' answers, their addresses, and the commands that stop and show them.

    `options` are the snakemake options of these commands.
    """
    entries = [(receipt, entry) for receipt in receipts.values() for entry in receipt["targets"].values()]
    lines = [line for receipt, entry in entries for line in _address(receipt, entry["smoke_test"]["server_version"])]
    values = {"receipts": receipts.values(), "options": options, "SAMPLE": SAMPLE, "outputs": _outputs}
    progress(document(TEMPLATE, {**values, "addresses": dict.fromkeys(lines)}).removesuffix("\n"))


def _address(receipt: dict, server_version: str) -> list[str]:
    """Return lines: where a model is live, and the known vulnerabilities of its server."""
    cautions, release = releases.cautions(server_version), releases.release_with("server", server_version)
    if server := receipt["contents"].get("server"):
        name = f"{release.triton} (server {server_version})" if release else server_version
        return [f"Triton {name} listens on {address(Ports.of(server['listening']))}", *cautions]
    place = ", ".join(f"{name} {value}" for name, value in receipt["place"].items() if value)
    return [f"{receipt['served_as']} is live on {receipt['to']} ({place})", *cautions]


def address(ports: Ports) -> str:
    """Return the address and ports of a server as text, and which of them are encrypted."""
    secured = (
        f" over {'mutual ' if ports.tls.client_ca else ''}TLS; in the clear on {ports.clear_host}" if ports.tls else ""
    )
    http = f"HTTP {ports.http}, " if ports.http else ""
    return f"{ports.host}: gRPC {ports.grpc}{secured}, {http}metrics http://{ports.clear_host}:{ports.metrics}/metrics"


def _outputs(tested: dict) -> list[str]:
    """Return the lines about the outputs in a smoke test."""
    return prefixed({name: _output(output) for name, output in tested["outputs"].items()})


def _output(output: dict) -> list[str]:
    """Return the lines about one output's values; if no meaning was found for it, a line says why."""
    meaning = Meaning.of(output["output"])
    unclear = meaning.reason and not (meaning.has_classes or meaning.is_stated)
    return [*lines_of(output), *([f"its outputs are {meaning.in_words}: {meaning.reason}"] if unclear else [])]
