"""Show each live model: its version, weights, engine, requests, latency and memory, and whether it is stale."""

import argparse
from functools import partial
from pathlib import Path

import psutil

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.core.artifacts import tree_digest
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.hardware import cpu_identity, gpu_identity, is_gpu
from slipway.core.records import read_record
from slipway.deploy.local import server_state
from slipway.deploy.local.receipts import RECEIPT
from slipway.deploy.status import describe_remote, remote_receipts
from slipway.outputs.showing import in_words
from slipway.triton.client.ports import Ports
from slipway.triton.server import releases
from slipway.triton.server.memory import process_memory_mb
from slipway.triton.server.tritonserver import log_end

SHOWN = 12  # characters of a SHA-256
LOG_LINES, READY_TIMEOUT_S = 5, 120
MENDED = "`snakemake --cores 1 deploy` makes it answer again, without rebuilding"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts of the models (.json)")
    arguments.add_argument("--state", type=Path, default=server_state.FOLDER, help="folder of the server's state")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Settle an interrupted rollout, then print one block for each model."""
    settle_interrupted(arguments)
    for identity in filter(None, (cpu_identity(), gpu_identity())):
        progress(f"this machine: {identity}")
    for path in arguments.receipts:
        results = path.parent.parent
        elsewhere = remote_receipts(path.parent)
        for receipt in elsewhere:
            progress("\n".join(describe_remote(receipt, results)))
        receipt = read_record(path, RECEIPT)
        if receipt:
            progress("\n".join(describe(receipt, results, arguments.state)))
        elif path.exists():
            progress(f"{results.name}: its receipt {path} is damaged; `snakemake --cores 1 deploy` writes it again")
        elif not elsewhere:
            progress(f"{results.name}: not deployed (snakemake --cores 1 deploy)")


def settle_interrupted(arguments: argparse.Namespace) -> None:
    """Make receipts and history agree with the server, unless a deployment is under way."""
    from slipway.deploy.local.installation import installation_for
    from slipway.deploy.local.rollout import settle_if_unlocked

    settle_if_unlocked(
        arguments.state, partial(installation_for, arguments.state, arguments.tensorrt_python, READY_TIMEOUT_S)
    )


def describe(receipt: dict, results: Path, state: Path) -> list[str]:
    """Return the lines about one receipt: whether its model answers, and the counters of its server."""
    from slipway.deploy.local.liveness import why_no_answer

    name, version = receipt["served_as"], receipt.get("version", 1)
    why = why_no_answer(state, name, version)
    running = server_state.running_server(state)
    if why:
        return [f"{name}: does not answer, because {why}", *(ending(state) if running is None else []), f"  {MENDED}"]
    return [
        f"{name}: answers, live since {receipt['deployed_at']}, process {running['pid']}",
        *identity(receipt, str(version)),
        *traffic(name, str(version), running["listening"]),
        memory(running["pid"], receipt["engine_key"]),
        *cautions(receipt, results),
    ]


def ending(state: Path) -> list[str]:
    """Return the last lines of the log of a server that has ended."""
    log = server_state.log_file(state)
    if not log.is_file():
        return []
    return [f"  the end of {log}:", *(f"    {line}" for line in log_end(log, LOG_LINES).splitlines())]


def identity(receipt: dict, version: str) -> list[str]:
    """Return lines with the served version, weights and engine, and the ports."""
    chain, key, tested = receipt["chain"], receipt["engine_key"], receipt["smoke_test"]
    files = ", ".join(f"{Path(name).suffix[1:]} {digest[:SHOWN]}" for name, digest in chain["engine_files"].items())
    listening = Ports.of(receipt["server"]["listening"])
    meaning, answer = in_words(receipt.get("output"), tested)
    return [
        f"  version    {version}, weights {chain['weights_sha256'][:SHOWN]} ({receipt['origin']})",
        f"  engine     {key['runtime']} {key['runtime_version']}, {key['precision']}: {files}",
        f"             {tested['instances']} instance(s), batches up to {tested['max_batch_size']}",
        f"  outputs    {meaning}",
        f"             {answer}",
        f"  listens    {listening.host}: {listening.in_words()}",
    ]


def traffic(model: str, version: str, listening: dict) -> list[str]:
    """Return the server's counters for a version of a model since it was loaded, and whether it is ready."""
    from slipway.monitoring.traffic import read_traffic
    from slipway.triton.client.grpc_client import ModelClient

    ports = Ports.of(listening)
    try:
        with ModelClient(ports, model) as client:
            client.require_ready()
        counted = read_traffic(ports, model, version)
    except SlipwayError as error:
        return [f"  NOT READY  {error}"]
    except OSError as error:
        return [f"  traffic    its metrics cannot be read ({error})"]
    if counted is None:
        return [f"  ABSENT     the server has no version {version} of it; run snakemake deploy"]
    quantiles = [
        f"{name} {counted.quantiles_ms[quantile]:.1f} ms"
        for name, quantile in (("p50", "0.5"), ("p99", "0.99"))
        if quantile in counted.quantiles_ms
    ]
    return [
        f"  requests   {counted.requests} answered, {counted.failures} failed, {counted.pending} waiting",
        f"  latency    {', '.join(quantiles) or 'no requests'} in the last minute",
        f"             mean {counted.mean_ms:.1f} ms since it was loaded, {counted.queue_ms:.1f} ms of it queued",
    ]


def memory(pid: int, engine_key: dict) -> str:
    """Return the memory of the server with its engines' processes, and the used memory of its GPU."""
    line = f"  memory     {process_memory_mb(psutil.Process(pid)):.0f} MB, of server and engines"
    if not is_gpu(engine_key["hardware"]):
        return line
    gpu = GpuMonitor()
    used, whole = gpu.used_memory_mb(), gpu.facts().get("memory_mb")
    if used is None or whole is None:
        return line + "; NVML does not tell the GPU's"
    return line + f"; GPU {used:.0f} of {whole:.0f} MB, by every program on it"


def cautions(receipt: dict, results: Path) -> list[str]:
    """Return the cautions for a user of the live version."""
    lines = [f"  {caution}" for caution in releases.cautions(receipt["smoke_test"].get("server_version"))]
    if receipt["origin"] == "rehearsal":
        lines.append("  REHEARSAL  random weights: its predictions mean nothing")
    if "rolled_back_from" in receipt:
        lines += [
            f"  BACK       version {receipt['rolled_back_from']} was rolled back; this is the one before",
            "             `snakemake deploy` serves what config.yaml says: put it right first",
        ]
    elif not is_newest(receipt, results):
        lines.append(f"  STALE      {results} holds another version than the one that is served; run snakemake deploy")
    return lines


def is_newest(receipt: dict, results: Path) -> bool:
    """Say whether the served version matches the model's results: the same weights, and one target's repository.

    Files that were removed from the results since then do not make it stale.
    """
    weights = read_record(results / "weights.json", {"sha256": str})
    if weights and weights["sha256"] != receipt["chain"]["weights_sha256"]:
        return False
    repositories = list(results.glob(f"*/repository/{receipt['served_as']}"))
    return not repositories or receipt["served_files"] in map(tree_digest, repositories)


if __name__ == "__main__":
    run(main, parse_arguments())
