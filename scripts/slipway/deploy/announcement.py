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
    """Tell the user that models are live: print their test outputs, their addresses, and commands for the next steps.

    `receipts` is {model: receipt}, the records of the deployments, as `verification.receipts_of` returns. `options` are
    the Snakemake options that the printed commands `status` and `undeploy` need, such as "--configfile my.yaml".
    """
    entries = [(receipt, entry) for receipt in receipts.values() for entry in receipt["targets"].values()]
    lines = [line for receipt, entry in entries for line in _address(receipt, entry["smoke_test"]["server_version"])]
    values = {"receipts": receipts.values(), "options": options, "SAMPLE": SAMPLE, "outputs": _outputs}
    progress(document(TEMPLATE, {**values, "addresses": dict.fromkeys(lines)}).removesuffix("\n"))


def _address(receipt: dict, server_version: str) -> list[str]:
    """Return lines of text: where clients reach a live model, and the known vulnerabilities of its Triton release.

    `receipt` is the record of the model's deployment. `server_version` is the version that the server stated in the
    smoke test.
    """
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
    """Return lines of text with all outputs of a model for the sample input.

    `tested` is the entry "smoke_test" of a receipt, as `smoke_test.smoke_test` returns it.
    """
    return prefixed({name: _output(output) for name, output in tested["outputs"].items()})


def _output(output: dict) -> list[str]:
    """Return lines of text with the values of one output for the sample input.

    `output` is the output's entry in "outputs" of the smoke test. If Slipway does not know the meaning of the values, a
    line says why.
    """
    meaning = Meaning.of(output["output"])
    unclear = meaning.reason and not (meaning.has_classes or meaning.is_stated)
    return [*lines_of(output), *([f"its outputs are {meaning.in_words}: {meaning.reason}"] if unclear else [])]
