"""Measure the workflow itself on this machine: deploys, serving against the engine alone, and the CPU's precisions.

The program works in a temporary folder, with the shipped config.yaml on free ports. It leaves no process running. The
precisions are those of the shipped model and of the example with pretrained weights, which `make demo` downloads.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.benchmark.timing import sample_latency, warm_up
from slipway.contract.archives import read_samples
from slipway.contract.contract import Contract
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.engines.engine_artifact import BuiltEngine
from slipway.load_test.model_analyzer import input_data, write_input_data
from slipway.load_test.request_rate import Sender
from slipway.tools import cpu_precisions
from slipway.tools.snakemake_runs import REPOSITORY, machine, snakemake, write_config
from slipway.triton.client.ports import Ports

MODEL, TARGET = "resnet50", "cpu"
ROUNDS = 3
SECONDS = 5


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "output")
    source = "folder of photographs for int8's scales; left out, crops of the sample photograph"
    arguments.add_argument("--photographs", type=Path, help=source)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Deploy, deploy again, compare serving with the engine alone, restart a killed server, undeploy, measure INT8."""
    with tempfile.TemporaryDirectory(prefix="slipway-measure-") as folder:
        workplace = Path(folder)
        config, ports = configure(workplace)
        try:
            record = measure(workplace, ports)
        finally:
            seconds_of(workplace, "undeploy")
        write_json(arguments.output, record)
        progress("the precisions of this CPU")
        record["models"] = cpu_precisions.measure(workplace, config, arguments.photographs)
    write_json(arguments.output, record)
    progress(json.dumps({key: record[key] for key in ("seconds", "served_to_engine_alone")}, indent=2))


def measure(workplace: Path, ports: Ports) -> dict:
    """Deploy the shipped model several times, and return the record of the measurement.

    It has the entries of `machine`, "seconds" ({name: time of a deploy, or list of times}), "deployed" (as
    `cpu_precisions.chosen` returns it), "served_to_engine_alone" (as `compare_serving` returns it), and "models", still
    empty. `ports` are the ports in the configuration in `workplace`.
    """
    progress("first deploy, everything is built and measured")
    seconds: dict[str, Any] = {"first_deploy": seconds_of(workplace, "deploy")}
    progress("deploys with nothing to do")
    seconds["deploy_with_nothing_to_do"] = [seconds_of(workplace, "deploy") for _ in range(ROUNDS)]
    receipt = read_json(workplace / f"results/{MODEL}/deploy/receipt.json")
    progress("the engine alone and the server, in turn")
    comparison = compare_serving(workplace, ports, receipt)
    os.kill(receipt["contents"]["server"]["pid"], signal.SIGKILL)
    progress("a deploy that starts a killed server again")
    seconds["deploy_after_the_server_died"] = seconds_of(workplace, "deploy")
    return {
        **machine(),
        "seconds": seconds,
        "deployed": cpu_precisions.chosen(workplace / "results" / MODEL / TARGET),
        "served_to_engine_alone": comparison,
        "models": {},
    }


def configure(workplace: Path) -> tuple[dict, Ports]:
    """Write the project's config.yaml with free ports into the working folder. Return (parsed configuration, ports)."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    ports = Ports.free()
    config["deploy"] |= {"http_port": ports.http, "grpc_port": ports.grpc, "metrics_port": ports.metrics}
    write_config(workplace, config)
    return config, ports


def seconds_of(workplace: Path, target: str) -> float:
    """Run Snakemake for `target`, such as "deploy", as `make deploy` does. Return its wall time in seconds."""
    return round(snakemake(workplace, target, "--cores", "2", shown=True).seconds, 2)


def compare_serving(workplace: Path, ports: Ports, receipt: dict) -> dict:
    """Measure the throughput of the engine alone and of Triton with this engine, in turn.

    `receipt` is the JSON record of the deployment; it has the names of the model and the engine. The result is
    {"median_ratio_by_requests_in_flight": {requests in flight: Triton's throughput / that of the engine alone},
    "rounds": [{"engine_alone_per_s": requests/s, "served_per_s": {requests in flight: requests/s}}]}.
    """
    results, precision = workplace / "results" / MODEL, receipt["targets"][TARGET]["engine_key"]["precision"]
    built = BuiltEngine.of_record(results / TARGET / f"{MODEL}.{precision}.engine.json")
    sample, sender = read_samples(results / "samples.npz")[0], Sender(receipt["served_as"], ports, workplace)
    write_input_data(input_data(workplace, sender.model), [sample], Contract.of(built.record["interface"]))
    run_alone = partial(built.answering(built.load()), sample)
    warm_up(run_alone, 2)
    rounds: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        alone = round(1e3 / statistics.mean(sample_latency(run_alone, SECONDS, minimum=20)), 2)
        served = {str(in_flight): sender.throughput(in_flight, SECONDS) for in_flight in (1, 2, 4)}
        rounds.append({"engine_alone_per_s": alone, "served_per_s": served})
    ratios = {
        level: round(statistics.median(pair["served_per_s"][level] / pair["engine_alone_per_s"] for pair in rounds), 3)
        for level in rounds[0]["served_per_s"]
    }
    return {"median_ratio_by_requests_in_flight": ratios, "rounds": rounds}


if __name__ == "__main__":
    run(main, parse_arguments())
