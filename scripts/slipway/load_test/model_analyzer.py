"""Run Triton's Model Analyzer in local mode: its configuration and its command.

Model Analyzer starts a server, and runs perf_analyzer for each point: a configuration with a number of requests in
flight. The workspace is the working folder of the load test.
"""

import base64
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml
from tritonclient.grpc import model_config_pb2 as pb

from slipway.contract.contract import Contract, Tensors
from slipway.contract.served_form import as_served
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import MAKE_IT, serving_program
from slipway.load_test import keyed_model_analyzer
from slipway.load_test.analyzed_points import FIGURES, RunPlan
from slipway.load_test.sweep import BEST_OF_QUICK, BRUTE, OPTUNA, QUICK, Sweep
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_config import read_config
from slipway.triton.server.environment import allocation
from slipway.triton.server.installation import Installation, perf_analyzer_environment
from slipway.triton.server.interpreter import write_launcher
from slipway.triton.server.leftovers import owner_variable, region_flag
from slipway.triton.server.tritonserver import stop_process

# Model Analyzer requires an HTTP port even if the server has none.
NO_HTTP = 8000
# The folder of Model Analyzer's variants of the models, in the workspace.
VARIANTS = "variants"
# Model Analyzer's table, in the workspace, and the columns of the table before the figures.
TABLE = Path("results/analysis.csv")
COLUMNS = ("model_name", "model_config_path", "instance_group", "max_batch_size", "concurrency")
# Starts keyed_model_analyzer. scripts/ is last on sys.path, since some programs in it are named like packages.
START = f"import sys; sys.path.append(sys.argv.pop(1)); from {keyed_model_analyzer.__name__} import main; main()"
# The file in the workspace with the `RunPlan`.
PLAN = "plan.json"
# perf_analyzer writes the values of requests as text. With 150 kB a request, a point took 25 cores and tens of seconds.
LARGEST_LOGGED_BYTES = 4096
# Percent of a CPU that perf_analyzer may take. By default, Model Analyzer kills it above 80 % of all CPUs, as psutil
# measures them in a tenth of a second: once 2,515 % of 16 CPUs, which cost the points of a fast server.
NEVER_KILLED = 1e9
# Seconds for Model Analyzer and its server to end after an interruption.
ENDING_S = 5


def configuration(
    models: list[str], sweep: Sweep, ports: Ports, server: Installation, workspace: Path, key: str
) -> dict:
    """Return Model Analyzer's configuration, as a dictionary for YAML, to measure the points of `sweep`.

    `models` are names of models in workspace/repository. perf_analyzer sends each model the samples in the file
    `input_data`. Model Analyzer starts `server` at `ports`. Only clients with the secret `key` may load models there.
    """
    repository = workspace / "repository"
    return {
        "model_repository": str(repository),
        "output_model_repository_path": str(workspace / VARIANTS),
        "override_output_model_repository": True,
        # Model Analyzer reuses measurements by name, not by content, so each run has its own checkpoint.
        "checkpoint_directory": str(workspace / "checkpoints"),
        "export_path": str(workspace),
        "profile_models": {
            name: _swept(read_config(repository / name / "config.pbtxt"), sweep, input_data(workspace, name))
            for name in models
        },
        **_search(models, sweep),
        "duration_seconds": 1,
        "triton_launch_mode": "local",
        "triton_server_path": str(_launcher(server, ports, key, workspace)),
        "triton_server_flags": dict(flag.removeprefix("--").split("=", 1) for flag in server.flags),
        "triton_server_environment": perf_analyzer_environment(workspace),  # perf_analyzer gets the same environment
        "triton_http_endpoint": f"{ports.host}:{NO_HTTP}",
        "triton_grpc_endpoint": f"{ports.host}:{ports.grpc}",
        "triton_metrics_url": f"http://{ports.host}:{ports.metrics}/metrics",
        "client_protocol": "grpc",
        "perf_analyzer_path": perf_analyzer(),
        "perf_analyzer_cpu_util": NEVER_KILLED,
        # With more, ten windows would be repeated up to ten times, each time with more requests.
        "perf_analyzer_max_auto_adjusts": 1,
        "filename_model_inference": "analysis.csv",
        "inference_output_fields": [*COLUMNS, *FIGURES],
        "skip_detailed_reports": True,
    }


def _search(models: Sequence[str], sweep: Sweep) -> dict:
    """Return the entries of Model Analyzer's configuration for the kind of search, and the bounds of the parameters."""
    mode = {"run_config_search_mode": sweep.search, "num_configs_per_model": sweep.variants}
    if sweep.search == BRUTE:
        # Without a grid, Model Analyzer would choose values itself.
        return mode | {"run_config_search_disable": not sweep.grid}
    if sweep.search == OPTUNA:
        # Trials that repeat a point cost nothing. The search ends after ten trials without an improvement.
        trials = len(sweep.points(models[:1]))
        return mode | {"optuna_max_trials": trials, "concurrency_sweep_disable": True}
    ranges = {
        "concurrency": sweep.concurrency,
        "instance_count": sweep.instances,
        "model_batch_size": sweep.max_batch_sizes,
    }
    ends = {"min": min, "max": max}
    bounds = {
        f"run_config_search_{end}_{name}": of(values) for name, values in ranges.items() for end, of in ends.items()
    }
    return mode | bounds | {"num_configs_per_model": BEST_OF_QUICK}


def input_data(workspace: Path, model: str) -> Path:
    """Return the path of the file with the samples that perf_analyzer sends to a model."""
    return workspace / f"{model}.input.json"


def write_input_data(path: Path, samples: Sequence[Tensors], contract: Contract) -> None:
    """Write the samples that perf_analyzer sends, each of batch size 1, into its JSON file `path`.

    `contract` has the dtypes of the engine. Values are in base64: perf_analyzer 2.51 reads neither float16 as numbers,
    nor whole numbers as float32.
    """
    axis = 1 if contract.batched else 0  # perf_analyzer's shapes are without the batch axis
    entries = [
        {
            name: {"content": {"b64": base64.b64encode(array.tobytes()).decode()}, "shape": list(array.shape[axis:])}
            for name, array in as_served(sample, contract).items()
        }
        for sample in samples
    ]
    path.write_text(json.dumps({"data": entries}), encoding="utf-8")


def can_log_requests(samples: Sequence[Tensors], contract: Contract) -> bool:
    """Return whether perf_analyzer can write the times of each request without slowing the measurement.

    perf_analyzer's file also has the values of each request and answer. So the sizes of requests and answers must be
    known, and a request and its answer may have at most LARGEST_LOGGED_BYTES together.
    """
    answers = [(np.dtype(output.dtype).itemsize, output.dims(contract.batched)) for output in contract.outputs]
    if any(-1 in dims for _, dims in answers):
        return False
    sent = max(sum(array.nbytes for array in as_served(sample, contract).values()) for sample in samples)
    return sent + sum(size * math.prod(dims) for size, dims in answers) <= LARGEST_LOGGED_BYTES


def run(settings: dict, plan: RunPlan, workspace: Path, on_line: Callable[[str], None]) -> None:
    """Run Model Analyzer, and pass each line of its output to `on_line`.

    `settings` is its `configuration`. `plan` has the instructions for the features that Slipway adds (see
    keyed_model_analyzer). Raises SlipwayError if Model Analyzer fails or is not installed.
    """
    if find_spec("model_analyzer") is None:
        raise SlipwayError("Model Analyzer is not installed here; pip install -r envs/requirements.txt")
    path = workspace / "model_analyzer.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_json(workspace / PLAN, asdict(plan))
    scripts, command = str(Path(__file__).parents[2]), ["profile", "-f", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", START, scripts, str(workspace / PLAN), *command],
        cwd=workspace,
        # If Model Analyzer sees a GPU, it requires NVIDIA's DCGM. Only GPU memory is needed; PointMonitor measures it.
        env=without_proxies(os.environ) | {"NUMBA_DISABLE_CUDA": "1"} | owner_variable(workspace.name),
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


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without proxy variables, since some programs use a proxy even for 127.0.0.1."""
    proxies = {"http_proxy", "https_proxy", "all_proxy", "grpc_proxy"}
    return {name: value for name, value in environment.items() if name.lower() not in proxies}


def perf_analyzer() -> str:
    """Return the path of tritonclient's perf_analyzer in the serving environment or, without it, on PATH.

    Raises SlipwayError if there is no perf_analyzer.
    """
    own = serving_program("perf_analyzer")
    program = str(own) if own.exists() else shutil.which(own.name)
    if not program:
        raise SlipwayError(f"perf_analyzer is not installed here; {MAKE_IT}")
    return program


def _swept(config: pb.ModelConfig, sweep: Sweep, data: Path) -> dict:
    """Return one model's entry in Model Analyzer's configuration: the parameters to vary, and perf_analyzer's options.

    `config` is the model's config.pbtxt, `data` the file with its samples. In the instance group, only the number of
    instances is varied.
    """
    swept: dict = {
        "cpu_only": True,  # also for a GPU target: its only effect is that DCGM is not used
        "perf_analyzer_flags": {
            # Windows of requests, not of time: on a slow machine they take longer, but none is empty.
            "measurement-mode": "count_windows",
            # For the largest number in flight; RunPlan.set_window sets it for each point.
            "measurement-request-count": sweep.window,
            "stability-percentage": sweep.stability_percent,
            "verbose": True,  # prints the throughput of each window
            "input-data": [str(data)],
        },
    }
    if sweep.search == QUICK:  # a quick search varies the values itself, within bounds
        return swept
    swept["parameters"] = {"concurrency": sweep.concurrency}
    if grid := sweep.grid:
        [group] = config.instance_group
        varied = {"count": grid["instances"], "kind": [pb.ModelInstanceGroup.Kind.Name(group.kind)]}
        unchanged = {"profile": [list(group.profile)]} if group.profile else {}
        parameters = {"instance_group": [varied | unchanged], "max_batch_size": grid["max_batch_sizes"]}
        if sweep.search == OPTUNA or sweep.batching_delays_us != [0]:
            parameters["dynamic_batching"] = {"max_queue_delay_microseconds": grid["batching_delays_us"]}
        swept["model_config_parameters"] = parameters
    return swept


def _launcher(server: Installation, ports: Ports, key: str, workspace: Path) -> Path:
    """Write a script with which Model Analyzer starts the server as it should run; return the script's path.

    The server gets its own environment, and this process's GPUs. By itself, Model Analyzer hides all GPUs that it did
    not find, and gives the server perf_analyzer's libraries. Its server flags may have no spaces, so the flags that
    keep other machines and users out, such as the secret `key`, are in the script.
    """
    names = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
    flags = [*ports.flags(), *server.guards(key, ports.host), region_flag(workspace.name)]
    launcher, before = workspace / "start-tritonserver", []
    command = [server.program, *flags]
    if server.container:
        # Model Analyzer gives the server the path of this folder, so the path is the same in the container.
        variants = workspace / VARIANTS
        command = server.container.command(workspace.name, {variants: str(variants)}, ["tritonserver", *flags])
        before = [[server.program, "rm", "--force", workspace.name]]  # the container of a killed server, if any
    changes = {**{name: os.environ.get(name) for name in names}, **allocation()}
    write_launcher(launcher, command, changes, before)
    return launcher
