"""Running Triton's Model Analyzer in local mode: its configuration, its command, its tables."""

import csv
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml
from tritonclient.grpc import model_config_pb2 as pb

from slipway.core.errors import SlipwayError
from slipway.load_test import keyed_model_analyzer
from slipway.triton.client.proxies import without_proxies
from slipway.triton.repository.model_config import read_config
from slipway.triton.server import restricted_apis
from slipway.triton.server.interpreter import write_launcher
from slipway.triton.server.stub_memory import region_flag
from slipway.triton.server.tritonserver import Installation, Ports, perf_analyzer_environment, stop_process

# A window must hold several rounds of the requests in flight, or it measures the first of them alone.
ROUNDS_IN_A_WINDOW = 4
# Model Analyzer wants a port of the HTTP API even where there is none.
NO_HTTP = 8000
# How long it is given to end with its server, once nobody waits for what it measures.
ENDING_S = 5

# The columns asked of Model Analyzer, in its order, with the unit that each has.
COLUMNS = {
    "model_name": str,
    "model_config_path": str,
    "instance_group": str,
    "max_batch_size": int,
    "concurrency": int,
    "perf_throughput": float,  # inferences a second
    "perf_latency_avg": float,  # ms, as are all latencies
    "perf_latency_p90": float,
    "perf_latency_p95": float,
    "perf_latency_p99": float,
    "perf_server_queue": float,
    "perf_server_compute_infer": float,
}


@dataclass(frozen=True)
class Sweep:
    """What is varied, and how a point is measured: by three windows that agree closely enough."""

    concurrency: list[int]
    instances: list[int]
    max_batch_sizes: list[int]
    requests: int
    stability_percent: float


def configuration(
    models: list[str], sweep: Sweep, ports: Ports, server: Installation, workspace: Path, key: str
) -> dict:
    """Return Model Analyzer's configuration for a brute-force sweep over `models` of workspace/repository.

    Its server takes `key` from those who load models.
    """
    repository = workspace / "repository"
    asked = _asked(sweep)
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in server.flags)
    return {
        "model_repository": str(repository),
        "output_model_repository_path": str(workspace / "variants"),
        "override_output_model_repository": True,
        # Model Analyzer reuses measurements by name, not by content, so each run has a checkpoint of its own.
        "checkpoint_directory": str(workspace / "checkpoints"),
        "export_path": str(workspace),
        "profile_models": {name: _swept(read_config(repository / name / "config.pbtxt"), sweep) for name in models},
        "run_config_search_mode": "brute",
        "run_config_search_disable": not asked,  # else it would search where nothing is asked
        "duration_seconds": 1,
        "triton_launch_mode": "local",
        "triton_server_path": str(_launcher(server, ports, key, workspace)),
        "triton_server_flags": flags,
        "triton_server_environment": perf_analyzer_environment(workspace),  # it gives perf_analyzer the same one
        "triton_http_endpoint": f"{ports.host}:{NO_HTTP}",
        "triton_grpc_endpoint": f"{ports.host}:{ports.grpc}",
        "triton_metrics_url": f"http://{ports.host}:{ports.metrics}/metrics",
        "client_protocol": "grpc",
        "perf_analyzer_path": perf_analyzer(),
        "perf_analyzer_flags": {
            # Windows of requests, not of time: a slow machine fills them later, but never leaves one empty.
            "measurement-mode": "count_windows",
            "measurement-request-count": window(sweep),
            "stability-percentage": sweep.stability_percent,
        },
        "filename_model_inference": "analysis.csv",
        "inference_output_fields": list(COLUMNS),
        "num_configs_per_model": 1 + math.prod(map(len, asked.values())) if asked else 1,
        "skip_detailed_reports": True,
    }


def window(sweep: Sweep) -> int:
    """Return how many requests a measurement window has."""
    return max(sweep.requests, ROUNDS_IN_A_WINDOW * max(sweep.concurrency))


def run(settings: dict, workspace: Path, key: str, on_line: Callable[[str], None]) -> None:
    """Run Model Analyzer on its configuration, with its server's key; hand each line it prints to `on_line`.

    Raises SlipwayError when it fails.
    """
    if find_spec("model_analyzer") is None:
        raise SlipwayError("Model Analyzer is not installed here; pip install -r envs/requirements.txt")
    path = workspace / "model_analyzer.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    process = subprocess.Popen(
        # Without the folder of the program before all others, whose modules are no packages to import.
        [sys.executable, "-P", keyed_model_analyzer.__file__, "profile", "-f", str(path)],
        cwd=workspace,
        # With a GPU it would demand NVIDIA's DCGM; the GPU's memory is measured here, and nothing else of it is needed.
        env=without_proxies(os.environ)
        | {"NUMBA_DISABLE_CUDA": "1"}
        | {keyed_model_analyzer.NAME: restricted_apis.GRPC_HEADER, keyed_model_analyzer.VALUE: key},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        for line in process.stdout or []:
            lines.append(line)
            on_line(line.rstrip())
    except BaseException:
        stop_process(process.pid, ENDING_S)
        raise
    if process.wait():
        raise SlipwayError(f"Model Analyzer ended with exit code {process.returncode}:\n{''.join(lines[-15:])}")


def read_table(path: Path) -> list[dict]:
    """Return Model Analyzer's table as rows by column name, numbers as numbers."""
    if not path.is_file():
        raise SlipwayError(f"Model Analyzer left no table at {path}: no configuration could be measured, see the log")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [
        {name: kind(value) for (name, kind), value in zip(COLUMNS.items(), row, strict=True)} for row in rows if row
    ]


def perf_analyzer() -> str:
    """Return the perf_analyzer of this environment; tritonclient's wheel carries one."""
    return program_of_this_environment("perf_analyzer")


def program_of_this_environment(name: str) -> str:
    """Return a program that was installed beside this interpreter, or the one on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise SlipwayError(f"{name} is not installed here; pip install -r envs/requirements.txt")
    return found


def _swept(config: pb.ModelConfig, sweep: Sweep) -> dict:
    """Return what is varied of one model; the rest of its instance group stays as it is."""
    [group] = config.instance_group
    asked = _asked(sweep)
    if asked:
        kept = {"profile": [list(group.profile)]} if group.profile else {}
        varied = {"count": asked["instances"], "kind": [pb.ModelInstanceGroup.Kind.Name(group.kind)], **kept}
        asked = {"model_config_parameters": {"instance_group": [varied], "max_batch_size": asked["max_batch_sizes"]}}
    return {
        **asked,
        "parameters": {"concurrency": sweep.concurrency},
        "cpu_only": True,  # of a GPU target too: it only means that DCGM is not asked
    }


def _asked(sweep: Sweep) -> dict[str, list[int]]:
    """Return the values to ask for, {} for none: Model Analyzer measures config.pbtxt, the first of each, unasked.

    Where both have several values, all are asked, and the first of each is measured twice.
    """
    instances, sizes = sweep.instances, sweep.max_batch_sizes
    if len(sizes) == 1:
        instances = instances[1:]
    elif len(instances) == 1:
        sizes = sizes[1:]
    return {"instances": instances, "max_batch_sizes": sizes} if instances else {}


def _launcher(server: Installation, ports: Ports, key: str, workspace: Path) -> Path:
    """Return a script that starts the server in its own environment, and with the GPUs that this process sees.

    Model Analyzer hides every GPU that it did not find itself, and gives the server perf_analyzer's libraries. Its own
    flags may hold no spaces, and none of them keeps other machines and users out, as a deployed server does.
    """
    names = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
    guards = restricted_apis.local_flags(key, ports.host, shared_memory=False) if server.can_guard else []
    launcher = workspace / "start-tritonserver"
    write_launcher(
        launcher,
        [server.program, *ports.flags(), *guards, region_flag(workspace.name)],
        {name: os.environ.get(name) for name in names},
    )
    return launcher
