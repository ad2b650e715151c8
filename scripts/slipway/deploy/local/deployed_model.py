"""The model that this checkout's live server was proven with, for clients that name no server."""

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
    """A model on a server: the server's endpoint, the model's name, and facts from its deployment, if known.

    `preprocess` has the settings that the deployment was proven with. `rehearsal` is true for random weights.
    """

    endpoint: Endpoint
    name: str | None
    preprocess: dict = field(default_factory=dict)
    rehearsal: bool = False


def deployed_model(state_folder: Path, name: str | None, tls: Tls | None = None) -> ServedModel:
    """Return a model of this checkout's live server; `name` is its name in config.yaml or on the server.

    Raises SlipwayError if no server is live, or if `name` does not select one model.
    """
    state = server_state.recorded_server(state_folder)
    if state is None:
        raise SlipwayError(
            "no server of this checkout is live; run `make deploy`, or name another's with --url HOST:PORT"
        )
    results = state_folder.parent
    receipt = _receipt_of(results, state["pid"], name)
    golden = require_record(
        results / receipt["model"] / "golden.json", {"weights_sha256": str, "key": dict}, "run snakemake again"
    )
    (served,) = receipt["targets"].values()
    earlier = golden["key"] if "resize" in golden["key"] else {}  # earlier versions had it in the key
    preprocess = golden.get("preprocess") or earlier
    if preprocess and golden["weights_sha256"] != served["chain"]["weights_sha256"]:
        progress("other weights were built since the deployment; inputs are preprocessed as for those")
    endpoint = endpoint_of(Ports.of(state["listening"]))
    endpoint = replace(endpoint, tls=tls) if tls else endpoint
    return ServedModel(endpoint, receipt["served_as"], preprocess, receipt["origin"] == "rehearsal")


def _receipt_of(results: Path, pid: int, name: str | None) -> dict:
    """Return the receipt of the model with this name on the server with this process id."""
    live = [each for each in local_receipts(results) if each["contents"].get("server", {}).get("pid") == pid]
    matching = [each for each in live if name in (None, each["model"], each["served_as"])]
    if len(matching) != 1:
        deployed = ", ".join(each["served_as"] for each in live) or "none yet"
        raise SlipwayError(f"name with --model one of the models that are deployed here: {deployed}")
    return matching[0]
