"""Show what is live: model, checkpoint, since when, how many requests, how fast."""

import argparse
from pathlib import Path

from slipway import local_server
from slipway.artifacts import read_json, tree_digest
from slipway.hardware import cpu_identity, gpu_identity
from slipway.program import parser, progress, run


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts of the models (.json)")
    arguments.add_argument("--state", type=Path, default=local_server.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Print one block a model."""
    state = local_server.read_state(arguments.state)
    for identity in filter(None, (cpu_identity(), gpu_identity())):
        progress(f"this machine: {identity}")
    for path in arguments.receipts:
        if not path.is_file():
            progress(f"{path.parent.parent.name}: not deployed (snakemake --cores 1 deploy)")
            continue
        receipt = read_json(path)
        live = local_server.is_running(state) and receipt["server"]["pid"] == state["pid"]
        progress("\n".join(describe(receipt, live)))


def describe(receipt: dict, live: bool) -> list[str]:
    """Return the lines about one receipt; a live server is asked for its counters."""
    title = f"{receipt['served_as']}: "
    if not live:
        return [title + "its server has ended; `snakemake --cores 1 deploy` starts it again without rebuilding"]
    listening = receipt["server"]["listening"]
    lines = [
        title + f"live since {receipt['deployed_at']}, process {receipt['server']['pid']}",
        f"  weights    {receipt['chain']['weights_sha256'][:12]} ({receipt['origin']})",
        f"  engine     {receipt['engine_key']['runtime']} {receipt['engine_key']['runtime_version']}, "
        f"{receipt['engine_key']['precision']}; {receipt['smoke_test']['instances']} instance(s), "
        f"batches up to {receipt['smoke_test']['max_batch_size']}",
        f"  listens    {listening['host']}: gRPC {listening['grpc']}, HTTP {listening['http']}, "
        f"metrics {listening['metrics']}",
        *traffic(receipt["served_as"], listening),
    ]
    if receipt["origin"] == "rehearsal":
        lines.append("  REHEARSAL  random weights: its predictions mean nothing")
    if tree_digest(receipt["repository"]) != receipt["served_files"]:
        lines.append("  STALE      the repository on disk is newer than what is served; run snakemake deploy")
    return lines


def traffic(model: str, listening: dict) -> list[str]:
    """Return what the server has counted for a model since it started."""
    from slipway.triton.client import read_metrics
    from slipway.triton.server import Ports

    ports = Ports(**listening)
    try:
        counted = read_metrics(ports)
    except OSError as error:
        return [f"  traffic    its metrics cannot be read ({error})"]
    requests = counted.get(("nv_inference_request_success", model), 0)
    failures = counted.get(("nv_inference_request_failure", model), 0)
    mean_ms = counted.get(("nv_inference_request_duration_us", model), 0) / max(requests, 1) / 1e3
    queue_ms = counted.get(("nv_inference_queue_duration_us", model), 0) / max(requests, 1) / 1e3
    return [
        f"  traffic    {requests:.0f} answered, {failures:.0f} failed; "
        f"mean {mean_ms:.1f} ms, of it {queue_ms:.1f} ms queued"
    ]


if __name__ == "__main__":
    run(main, parse_arguments())
