"""Receipts of live models, as they are read back. All platforms write the same receipt (`verification.receipts_of`)."""

from pathlib import Path

from slipway.classification.task import OUTPUT
from slipway.core.records import has_shape, read_record

# The parts of a receipt that are read back.
RECEIPT = {
    **dict.fromkeys(("origin", "model", "served_as", "to", "deployed_at"), str),
    "number": int,
    "place": dict,
    "contents": dict,
    "identity": {"indexes": {str: str}},
    "targets": {str: {"version": str, "chain": {"weights_sha256": str}, "engine_key": dict, "smoke_test": dict}},
}
# The parts of a local server's receipt that an earlier Slipway wrote.
EARLIER = {
    **dict.fromkeys(("origin", "model", "served_as", "deployed_at"), str),
    "version": int,
    "server": {"pid": int, "listening": {"host": str, "grpc": int, "metrics": int}},
    "chain": {"weights_sha256": str, "repository_index_sha256": str},
    "engine_key": dict,
    "smoke_test": dict,
}


def read_receipt(path: Path) -> dict | None:
    """Return a receipt; None if it is missing or damaged."""
    return sound(read_record(path, dict))


def local_receipts(results: Path) -> list[dict]:
    """Return the receipts of the models that are live on this machine."""
    receipts = map(read_receipt, sorted(results.glob("*/deploy/receipt.json")))
    return [receipt for receipt in receipts if receipt]


def sound(receipt: dict | None) -> dict | None:
    """Return a receipt in today's form; None if it is damaged."""
    receipt = _renewed(receipt) if receipt and has_shape(receipt, EARLIER) else receipt
    return receipt if has_shape(receipt, RECEIPT) else None


def outputs_of(entry: dict) -> dict[str, dict]:
    """Return {output: its meaning and its values} of a target's entry in a receipt.

    An earlier Slipway had one output, and wrote its meaning and its values elsewhere in the entry.
    """
    tested = entry["smoke_test"]
    if has_shape(tested, {"outputs": {str: dict}}):
        return tested["outputs"]
    return {OUTPUT: {**tested, "output": entry.get("output")}}


def _renewed(earlier: dict) -> dict:
    """Return a local server's receipt that an earlier Slipway wrote, converted to the present form."""
    index = earlier["chain"]["repository_index_sha256"]
    of_model = ("origin", "model", "served_as", "deployed_at", "rolled_back_from")
    of_target = ("chain", "served_files", "engine_key", "output", "proven_on_labels")
    proofs = ("smoke_test", "verified", "canary")
    target = {name: earlier[name] for name in (*of_target, *proofs) if name in earlier}
    return {name: earlier[name] for name in of_model if name in earlier} | {
        "to": "local",
        "number": earlier["version"],
        "identity": {"indexes": {"local": index}},
        "targets": {"local": {"version": f"v{index[:12]}", **target}},
        "place": {},
        "contents": {"server": earlier["server"]},
    }
