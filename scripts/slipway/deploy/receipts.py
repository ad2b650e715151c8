"""Read receipts, the records of the live models' deployments: results/<model>/deploy/receipt[.<platform>].json.

All platforms write the same form of receipt (`verification.receipts_of`).
"""

from pathlib import Path

from slipway.core.records import read_record

# The shape of a receipt: only the entries that programs read.
RECEIPT = {
    **dict.fromkeys(("origin", "model", "served_as", "to", "deployed_at"), str),
    "number": int,
    "place": dict,
    "contents": dict,
    "targets": {
        str: {
            "version": str,
            "chain": {"weights_sha256": str, "repository_index_sha256": str},
            "engine_key": dict,
            "smoke_test": {"outputs": {str: dict}},
        }
    },
}


def read_receipt(path: Path) -> dict | None:
    """Return the receipt in a file, the record of a model's deployment; None if the file is missing or damaged.

    RECEIPT has the entries of a receipt.
    """
    return read_record(path, RECEIPT)


def local_receipts(results: Path) -> list[dict]:
    """Return the receipts, the deployment records, of the models that are live on the local server.

    `results` is the folder results/. Damaged receipts are left out.
    """
    receipts = map(read_receipt, sorted(results.glob("*/deploy/receipt.json")))
    return [receipt for receipt in receipts if receipt]
