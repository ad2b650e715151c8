"""The report on the local server: its ports, counters and memory, or the end of its log."""

from pathlib import Path

import psutil

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu
from slipway.deploy.local import server_state
from slipway.load_test.limits import configuration_in_words
from slipway.monitoring.traffic import read_traffic
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server import releases
from slipway.triton.server.memory import process_memory_mb
from slipway.triton.server.tritonserver import log_end

LOG_LINES = 5
QUANTILES = {"p50": "0.5", "p99": "0.99"}


def describe(state: Path, receipt: dict) -> list[str]:
    """Return lines of text on the local server and one of its models, for the command `status`.

    `state` is the folder of the server's state, and `receipt` is the record of the model's deployment. If the server
    has ended, the lines are the end of its log.
    """
    running, (served,) = server_state.running_server(state), receipt["targets"].values()
    if running is None:
        return ending(state)
    ports, tested = Ports.of(running["listening"]), served["smoke_test"]
    return [
        f"  process    {running['pid']}, {configuration_in_words(tested)}",
        f"  listens    {ports.host}: {ports.in_words()}",
        *traffic(receipt["served_as"], str(receipt["number"]), ports),
        memory(running["pid"], served["engine_key"]),
        *(f"  {caution}" for caution in releases.cautions(tested.get("server_version"))),
    ]


def ending(state: Path) -> list[str]:
    """Return the last lines of the log of a server that has ended; [] without a log. `state` is its state folder."""
    log = server_state.log_file(state)
    if not log.is_file():
        return []
    return [f"  the end of {log}:", *(f"    {line}" for line in log_end(log, LOG_LINES).splitlines())]


def traffic(model: str, version: str, ports: Ports) -> list[str]:
    """Return lines of text with the counters of a model's version: requests, failures, latencies.

    `model` is its name on the server at `ports`. Without counters, the only line gives the reason.
    """
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
    known = counted.quantiles_ms
    quantiles = [f"{name} {known[quantile]:.1f} ms" for name, quantile in QUANTILES.items() if quantile in known]
    return [
        f"  requests   {counted.requests} answered, {counted.failures} failed, {counted.pending} waiting",
        f"  latency    {', '.join(quantiles) or 'no requests'} in the last minute",
        f"             mean {counted.mean_ms:.1f} ms since it was loaded, {counted.queue_ms:.1f} ms of it queued",
    ]


def memory(pid: int, engine_key: dict) -> str:
    """Return a line with the used memory in MB: of the server `pid` with its engine processes, and of the whole GPU.

    `engine_key` is the build key of an engine; its hardware says whether there is a GPU.
    """
    line = f"  memory     {process_memory_mb(psutil.Process(pid)):.0f} MB, of server and engines"
    if not is_gpu(engine_key["hardware"]):
        return line
    gpu = GpuMonitor()
    used, whole = gpu.used_memory_mb(), gpu.facts().get("memory_mb")
    if used is None or whole is None:
        return line + "; NVML does not tell the GPU's"
    return line + f"; GPU {used:.0f} of {whole:.0f} MB, by every program on it"
