"""Write the Triton model repository of the chosen configuration, and an index of its files."""

import argparse
import json

from slipway.contract.contract import Contract
from slipway.core.artifacts import atomic_write, read_json, sha256, tree_digest, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import settings_of
from slipway.engines.recorded_engine import RecordedEngine
from slipway.triton.repository.model_config import ServingOptions
from slipway.triton.repository.model_folder import served_model, write_model


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("engine_records", "weights_record", "contract", "labels", "folder", "index")
    arguments = parser(__doc__, *common, selection="chosen configuration (.json)")
    arguments.add_argument("--name", required=True, help="name that clients use for the model")
    arguments.add_argument("--triton-release", help="the Triton release that will serve it")
    arguments.add_argument("--lock", type=json.loads, help="version lock (JSON): facts about that release's TensorRT")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the model folder with the engine that the selection chose, and then the index of the folder's files."""
    selection = read_json(arguments.selection)
    records = {read_json(path)["key"]["precision"]: path for path in arguments.engine_records}
    engine_record = records[selection["precision"]]
    engine = RecordedEngine.of_record(engine_record)
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.contract)
    chosen = selection["max_batch_size"], selection["instances"], selection.get("queue_delay_us", 0)
    options = ServingOptions(**selection.get("serving_options", {}))
    served = served_model(arguments.name, engine, contract, *chosen, options)
    with atomic_write(arguments.folder) as partial:
        write_model(partial, served, engine, arguments.labels)
    index = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "name": arguments.name,
        "chain": {
            "weights_sha256": weights["sha256"],
            "onnx_sha256": engine.record["key"]["onnx_sha256"],
            "engine_files": engine.record["files"],
            "engine_record_sha256": sha256(engine_record),
            "selection_sha256": sha256(arguments.selection),
        },
        "engine_key": engine.record["key"],
        "version_lock": arguments.lock,
        "contract": served.contract.record(),
        "accuracy_limits": selection["accuracy_limits"],
        "promise": {
            "in_flight": selection["measured"]["concurrency"],
            "p99_ms": selection["measured"]["p99_ms"],
            "p99_limit_ms": selection["limits"]["p99_ms"],
        },
        "proven_on_labels": selection["proven_on_labels"],
        "files": tree_digest(arguments.folder),
    }
    write_json(arguments.index, index)
    progress(f"  {arguments.name}: {selection['precision']} engine, {len(index['files'])} files")


if __name__ == "__main__":
    run(main, parse_arguments())
