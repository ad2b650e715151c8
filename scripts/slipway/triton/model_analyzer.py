"""Running Triton's Model Analyzer in local mode: its configuration, its command, its tables."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.errors import SlipwayError
from slipway.triton.server import Installation, Ports, perf_analyzer_environment

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


def configuration(models: list[str], sweep: Sweep, ports: Ports, server: Installation, workspace: Path) -> dict:
    """Return Model Analyzer's configuration for a brute-force sweep over `models` of workspace/repository."""
    swept = {
        "model_config_parameters": {
            "instance_group": [{"count": sweep.instances, "kind": ["KIND_CPU"]}],
            "max_batch_size": sweep.max_batch_sizes,
        },
        "parameters": {"concurrency": sweep.concurrency},
        "cpu_only": True,
    }
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in server.flags)
    return {
        "model_repository": str(workspace / "repository"),
        "output_model_repository_path": str(workspace / "variants"),
        "override_output_model_repository": True,
        # Model Analyzer reuses measurements by name, not by content, so each run has a checkpoint of its own.
        "checkpoint_directory": str(workspace / "checkpoints"),
        "export_path": str(workspace),
        "profile_models": dict.fromkeys(models, swept),
        "run_config_search_mode": "brute",
        "duration_seconds": 1,
        "triton_launch_mode": "local",
        "triton_server_path": server.program,
        "triton_server_flags": flags,
        "triton_server_environment": _shared_environment(server, workspace),
        "triton_http_endpoint": f"{ports.host}:{ports.http}",
        "triton_grpc_endpoint": f"{ports.host}:{ports.grpc}",
        "triton_metrics_url": f"http://{ports.host}:{ports.metrics}/metrics",
        "client_protocol": "grpc",
        "perf_analyzer_path": perf_analyzer(),
        "perf_analyzer_flags": {
            # Windows of requests, not of time: a slow machine fills them later, but never leaves one empty.
            "measurement-mode": "count_windows",
            "measurement-request-count": sweep.requests,
            "stability-percentage": sweep.stability_percent,
        },
        "filename_model_inference": "analysis.csv",
        "inference_output_fields": list(COLUMNS),
        "num_configs_per_model": len(sweep.instances) * len(sweep.max_batch_sizes) + 1,
        "skip_detailed_reports": True,
    }


def run(settings: dict, workspace: Path, on_line: Callable[[str], None]) -> None:
    """Run Model Analyzer on its configuration; hand each line it prints to `on_line`.

    Raises SlipwayError when it fails.
    """
    path = workspace / "model_analyzer.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    program = Path(sys.executable).with_name("model-analyzer")
    if not program.exists():
        raise SlipwayError("model-analyzer is not installed here; pip install -r envs/requirements.txt")
    process = subprocess.Popen(
        [str(program), "profile", "-f", str(path)],
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout or []:
        lines.append(line)
        on_line(line.rstrip())
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


def _shared_environment(server: Installation, workspace: Path) -> dict[str, str]:
    """Return the server's environment with perf_analyzer's libraries: Model Analyzer starts both with this one."""
    needed = perf_analyzer_environment(workspace)
    paths = [path for path in (needed.get("LD_LIBRARY_PATH"), server.environment.get("LD_LIBRARY_PATH")) if path]
    return {**server.environment, "LD_LIBRARY_PATH": ":".join(paths)}


def perf_analyzer() -> str:
    """Return the perf_analyzer of this environment, which tritonclient's wheel carries, or the one on PATH."""
    beside = Path(sys.executable).with_name("perf_analyzer")
    found = str(beside) if beside.exists() else shutil.which("perf_analyzer")
    if not found:
        raise SlipwayError("perf_analyzer is not installed here; pip install -r envs/requirements.txt")
    return found
