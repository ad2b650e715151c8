"""The message after a deployment: each model's outputs for the sample, the addresses, and the next commands."""

from pathlib import Path

from slipway.core.cli import progress
from slipway.core.templates import document
from slipway.outputs.meaning import Meaning
from slipway.outputs.presentation import SAMPLE, lines_of, prefixed
from slipway.triton.client.ports import Ports
from slipway.triton.server import releases

# This module only reports on a deployment, so no build key contains its code.
PART_OF_KEYS = False
TEMPLATE = Path(__file__).with_name("announcement.txt.j2")


def announce(receipts: dict[str, dict], options: str = "") -> None:
    """Print the result of each live model's smoke test, the addresses, and the commands `status` and `undeploy`.

    `receipts` is {model: receipt}. `options` are the Snakemake options in these commands.
    """
    entries = [(receipt, entry) for receipt in receipts.values() for entry in receipt["targets"].values()]
    lines = [line for receipt, entry in entries for line in _address(receipt, entry["smoke_test"]["server_version"])]
    values = {"receipts": receipts.values(), "options": options, "SAMPLE": SAMPLE, "outputs": _outputs}
    progress(document(TEMPLATE, {**values, "addresses": dict.fromkeys(lines)}).removesuffix("\n"))


def _address(receipt: dict, server_version: str) -> list[str]:
    """Return lines: the address of a live model, and the known vulnerabilities of the model's server."""
    cautions, release = releases.cautions(server_version), releases.release_with("server", server_version)
    if server := receipt["contents"].get("server"):
        name = f"{release.triton} (server {server_version})" if release else server_version
        return [f"Triton {name} listens on {address(Ports.of(server['listening']))}", *cautions]
    place = ", ".join(f"{name} {value}" for name, value in receipt["place"].items() if value)
    return [f"{receipt['served_as']} is live on {receipt['to']} ({place})", *cautions]


def address(ports: Ports) -> str:
    """Return the host and the ports of a server as text. The text also says whether gRPC uses TLS."""
    secured = (
        f" over {'mutual ' if ports.tls.client_ca else ''}TLS; in the clear on {ports.clear_host}" if ports.tls else ""
    )
    http = f"HTTP {ports.http}, " if ports.http else ""
    return f"{ports.host}: gRPC {ports.grpc}{secured}, {http}metrics http://{ports.clear_host}:{ports.metrics}/metrics"


def _outputs(tested: dict) -> list[str]:
    """Return lines of text about all outputs in `tested`, the entry "smoke_test" of a receipt."""
    return prefixed({name: _output(output) for name, output in tested["outputs"].items()})


def _output(output: dict) -> list[str]:
    """Return lines with one output's values. If Slipway does not know their meaning, a line says why."""
    meaning = Meaning.of(output["output"])
    unclear = meaning.reason and not (meaning.has_classes or meaning.is_stated)
    return [*lines_of(output), *([f"its outputs are {meaning.in_words}: {meaning.reason}"] if unclear else [])]
