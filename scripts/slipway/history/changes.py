"""Append a line to the history of each model that was deployed, rolled back, or taken out of service.

A receipt, results/<model>/deploy/receipt.json, is the record that the last deployment wrote.
"""

from collections.abc import Iterable
from pathlib import Path

from slipway.core.clock import utc_now
from slipway.history.file import NAME, append
from slipway.history.lines import DEPLOYED, DEPLOYMENT, ROLLED_BACK, UNDEPLOYED, key_of

# This module records deployments, and does not change them.
PART_OF_KEYS = False


def went_live(receipts: dict[str, dict]) -> None:
    """Append a line to the model's history for each model that was deployed or rolled back just now.

    `receipts` are {path of results/<model>/deploy/receipt.json: its content}, the records that the deployment wrote.
    """
    for file, receipt in receipts.items():
        action = ROLLED_BACK if "rolled_back_from" in receipt else DEPLOYED
        _append(Path(file), receipt, receipt["deployed_at"], action, receipt["number"], targets_of(receipt))


def ended(receipts: Iterable[tuple[Path, dict]]) -> None:
    """Append a line to the model's history for each model that was taken out of service just now.

    `receipts` are (path of results/<model>/deploy/receipt.json, its content), the records of the last deployments.
    """
    for file, receipt in receipts:
        _append(file, receipt, utc_now(), UNDEPLOYED, None, {})


def targets_of(receipt: dict) -> dict[str, dict]:
    """Return the versions that a deployment serves on each target, from its receipt, the record that it wrote.

    It is {target: {"version", "checkpoint", "selection", "triton"}}. "version" is the version of the model repository,
    "triton" the version of the server. "checkpoint" is the SHA-256 of the weights, "selection" that of selection.json.
    """
    return {
        target: {
            "version": entry["version"],
            "checkpoint": entry["chain"]["weights_sha256"],
            "selection": entry["chain"].get("selection_sha256"),
            "triton": entry["smoke_test"].get("server_version"),
        }
        for target, entry in receipt["targets"].items()
    }


def _append(file: Path, receipt: dict, when: str, action: str, number: int | None, targets: dict[str, dict]) -> None:
    """Append a change to the history of a model. `file` is results/<model>/deploy/receipt.json.

    `receipt` is its content. `action` is DEPLOYED, ROLLED_BACK or UNDEPLOYED. `number` is the version that clients see,
    None if none is served. `targets` is from `targets_of`.
    """
    about = {"model": receipt["model"], "platform": receipt["to"], "when": when.replace("+00:00", "Z")}
    change = {**about, "action": action, "number": number, "targets": targets}
    append(file.parents[1] / NAME, {"kind": DEPLOYMENT, "key": key_of(change), **change})
