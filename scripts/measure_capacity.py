"""Find the highest rate of requests, in an open loop, that the fastest configurations answer within the p99 limit.

It starts the same server as the load test. perf_analyzer sends requests with Poisson arrivals.
"""

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.contract.archives import read_samples
from slipway.contract.contract import Contract, Tensors
from slipway.contract.served_form import as_served
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.clock import utc_now
from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu, require_hardware
from slipway.core.job_settings import add_planned, settings_of
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test import capacity
from slipway.load_test.accuracy_loss import proven_rows, read_accuracy
from slipway.load_test.candidates import find_server, lay_out_candidate
from slipway.load_test.capacities import contenders, needed_rate
from slipway.load_test.goals import CONFIGURATION, add_choice, limits_of
from slipway.load_test.limits import configuration_in_words
from slipway.load_test.model_analyzer import input_data
from slipway.load_test.option_trials import Trial, options_of
from slipway.load_test.prober import AUTO, READY_S, Prober, warm_up
from slipway.load_test.request_rate import Sender
from slipway.load_test.workspace import workspace as new_workspace
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_config import Served, ServingOptions
from slipway.triton.repository.model_folder import served_model
from slipway.triton.server.installation import Installation, perf_analyzer_environment
from slipway.triton.server.restricted_apis import local_flags, new_key
from slipway.triton.server.server_options import add_server_choice, choice_of
from slipway.triton.server.tritonserver import Server


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(
        __doc__,
        *("load_test", "engine_records", "weights_record", "interface", "samples", "hardware", "output"),
    )
    add_choice(arguments)
    rates = "rates to measure, in requests/s; auto finds them by bisection, none measures nothing"
    arguments.add_argument("--request-rates", nargs="*", default=[AUTO], help=rates)
    arguments.add_argument("--requests", type=int, default=30, help="requests in each of a point's three windows")
    arguments.add_argument("--capacity-minutes", type=float, default=3, help="for the points of all configurations")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    add_server_choice(arguments)
    add_planned(arguments, "pytriton_version", "perf_analyzer_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure the winner of the load test and its runners-up, and record all points."""
    require_hardware(arguments.hardware)
    contract, tested = Contract.read(arguments.interface), read_json(arguments.load_test)
    rows = allowed_rows(tested, arguments)
    taken = contenders(rows, arguments.goal) if arguments.request_rates else []
    engines = engines_of(taken, tested, arguments.engine_records)
    unwind_when_terminated()
    found: list[dict] = []
    trials: list[dict] = []
    server, options = None, ServingOptions()
    if taken:
        with new_workspace() as workspace:
            server = find_server(engines, workspace, arguments.tensorrt_python, choice_of(arguments))
            samples = read_samples(arguments.samples)
            end = time.monotonic() + 60 * arguments.capacity_minutes
            options, trials = try_options(taken[0], engines, contract, samples, server, workspace, end)
            found = measure_all(taken, engines, contract, options, samples, server, workspace, end, arguments)
    record = {
        "origin": read_json(arguments.weights_record)["origin"],
        "key": settings_of(arguments),
        "measured_at": utc_now(),
        "limits": {"p99_ms": arguments.p99_limit_ms},
        "samples_per_request": 1,
        "arrivals": "Poisson",
        "engines": {name: engine.record["key"] for name, engine in engines.items()},
        "server": server and server.facts(),
        "chosen_from": {"measurements": len(rows), "load_test_sha256": sha256(arguments.load_test)},
        "serving_options": asdict(options),
        "trials_of_options": trials,
        "configurations": found,
    }
    write_json(arguments.output, record)


def allowed_rows(tested: dict, arguments: argparse.Namespace) -> list[dict]:
    """Return the measurements of the load test that hold all limits."""
    rows, limits = proven_rows(tested["measurements"], read_accuracy(arguments.accuracy)), limits_of(arguments)
    return [row for row in rows if not limits.broken(row)]


def engines_of(rows: list[dict], tested: dict, records: list[Path]) -> dict[str, RecordedEngine]:
    """Return {model of a row: its engine}. Raise SlipwayError if the load test measured another engine."""
    by_digest = {sha256(path): path for path in records}
    engines = {}
    for name in dict.fromkeys(row["model"] for row in rows):
        path = by_digest.get(tested["engine_records"][name])
        if path is None:
            raise SlipwayError(f"the load test measured another engine {name} than lies here; run snakemake again")
        engines[name] = RecordedEngine.of_record(path)
    return engines


def try_options(
    row: dict,
    engines: dict[str, RecordedEngine],
    contract: Contract,
    samples: list[Tensors],
    server: Installation,
    workspace: Path,
    end: float,
) -> tuple[ServingOptions, list[dict]]:
    """Return the options of the backend that help the row's configuration, and their trials (see `option_trials`).

    They take a third of the time until `end` (of time.monotonic) at most.
    """
    served = served_of(row, engines, contract)
    if not options_of(served, server):
        return ServingOptions(), []
    progress(f"  trying options of the backend with {row['precision']}, {configuration_in_words(row)}")
    trial = Trial(workspace / "options", server, READY_S, time.monotonic() + (end - time.monotonic()) / 3)
    return trial.run(served, engines[row["model"]], samples, row["concurrency"])


def served_of(
    row: dict, engines: dict[str, RecordedEngine], contract: Contract, options: ServingOptions | None = None
) -> Served:
    """Return the Triton model of a row's configuration."""
    chosen = row["max_batch_size"], row["instances"], row.get("queue_delay_us", 0)
    return served_model(row["model"], engines[row["model"]], contract, *chosen, options)


def measure_all(
    rows: list[dict],
    engines: dict[str, RecordedEngine],
    contract: Contract,
    options: ServingOptions,
    samples: list[Tensors],
    server: Installation,
    workspace: Path,
    end: float,
    arguments: argparse.Namespace,
) -> list[dict]:
    """Return the capacity of each row's configuration. Each has an equal share of the time until `end`."""
    found: list[dict] = []
    for number, row in enumerate(rows):
        folder = workspace / str(number)
        engine = engines[row["model"]]
        served = served_of(row, engines, contract, options)
        lay_out_candidate(folder, served, engine, samples, server)
        share_s = (end - time.monotonic()) / (len(rows) - number)
        needed = needed_rate(row, found, limits_of(arguments))
        progress(f"  measuring the capacity of {row['precision']} with {configuration_in_words(row)}")
        found.append(measure_configuration(row, served, samples[0], server, folder, share_s, needed, arguments))
        progress(f"    {found[-1]['words']}")
    return found


def measure_configuration(
    row: dict,
    served: Served,
    sample: Tensors,
    server: Installation,
    folder: Path,
    seconds: float,
    needed_per_s: float | None,
    arguments: argparse.Namespace,
) -> dict:
    """Start a server with one model, search for its capacity for at most `seconds`, and return it with its points.

    Without `needed_per_s` requests/s it cannot be chosen.
    """
    ports = replace(Ports.free(), http=None)
    guards = local_flags(new_key(), ports.host, shared_memory=False) if server.can_guard else []
    owner = f"{folder.parent.name}-{folder.name}"
    with Server(server, [folder / "repository"], ports, folder / "log", *guards, server_id=owner) as started:
        started.wait_until_ready(READY_S)
        request = as_served(sample, served.contract)
        warm_up(ports, served.name, request)
        sender = Sender(served.name, ports, input_data(folder, served.name), folder, perf_analyzer_environment(folder))
        gpu = GpuMonitor() if is_gpu(arguments.hardware) else None
        end = time.monotonic() + seconds
        prober = Prober(sender, started, row, end, gpu, arguments.requests, arguments.p99_limit_ms, request)
        points, ended_by = prober.points(arguments.request_rates, needed_per_s)
    found = capacity.capacity(points, ended_by)
    return {
        **{name: row[name] for name in ("model", *CONFIGURATION, "concurrency") if name in row},
        "closed_loop_per_s": row["throughput_per_s"],
        **found,
        "words": capacity.in_words(found, arguments.p99_limit_ms),
        "points": points,
    }


if __name__ == "__main__":
    run(main, parse_arguments())
