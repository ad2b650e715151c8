"""Measure every engine of a target under load: Model Analyzer and perf_analyzer against a real tritonserver."""

import argparse
import shutil
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.contract.archives import read_samples
from slipway.contract.batches import require_taken_batches
from slipway.contract.contract import Contract
from slipway.core.artifacts import atomic_write, read_json, sha256, write_json
from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.clock import utc_now
from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu, require_hardware
from slipway.core.job_settings import add_planned, settings_of
from slipway.engines.recorded_engine import RecordedEngine
from slipway.keys.code_hash import CodeHashes, digest
from slipway.load_test import coarse_filter, model_analyzer
from slipway.load_test.analyzed_points import MEASURED, REUSED
from slipway.load_test.candidates import find_server, lay_out_candidate, require_covered_batches
from slipway.load_test.interference import Interference
from slipway.load_test.kept_points import KeptPoints, base_of
from slipway.load_test.keyed_model_analyzer import KEPT, REQUESTS, TIMES_OF_REQUESTS
from slipway.load_test.limits import gaps_in_words, left_out_in_words
from slipway.load_test.narrator import Narrator
from slipway.load_test.rows import (
    by_one_name,
    figures_of,
    not_measured,
    point_of,
    varied_of,
    write_table,
)
from slipway.load_test.sweep import BRUTE, SEARCHES, Sweep, budget, window
from slipway.load_test.workspace import workspace as new_workspace
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_folder import served_model
from slipway.triton.server.installation import Installation
from slipway.triton.server.kinds import server_in_words
from slipway.triton.server.memory import PeakMemory
from slipway.triton.server.ownership import require_own_listeners
from slipway.triton.server.restricted_apis import new_key
from slipway.triton.server.server_options import add_server_choice, choice_of

# Limits that only leave out engines, and are in no key: `widened` says that they have to be looked at again.
UNTRACKED = ("p99_limit_ms", "min_throughput_per_s")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(
        __doc__,
        *("model", "engine_records", "weights_record", "interface", "samples", "hardware", "record"),
        table="CSV to write: one row per measurement",
        original="Model Analyzer's own table to keep (.csv)",
        plots="folder to write Model Analyzer's plots to",
    )
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 4], help="requests in flight")
    arguments.add_argument("--instances", type=int, nargs="+", default=[1, 2], help="copies of the engine")
    arguments.add_argument("--max-batch-sizes", type=int, nargs="+", default=[8], help="largest batches to form")
    delays = "how long (µs) a request may wait for others to form a batch"
    arguments.add_argument("--batching-delays-us", type=int, nargs="+", default=[0], help=delays)
    search = "Model Analyzer's search: all points, or those that it finds better"
    arguments.add_argument("--search", choices=SEARCHES, default=BRUTE, help=search)
    arguments.add_argument("--requests", type=int, default=30, help="requests in one measurement window")
    stability = "allowed difference of three windows; above it, they are repeated"
    arguments.add_argument("--stability-percent", type=float, default=100, help=stability)
    arguments.add_argument("--minutes", type=float, help="for all points together; those not reached are left out")
    benchmark = "record of the benchmark, for leaving out engines that break a limit without load"
    arguments.add_argument("--benchmark", type=Path, help=benchmark)
    arguments.add_argument("--p99-limit-ms", type=float, help="highest p99 latency, by which engines are left out")
    arguments.add_argument("--min-throughput-per-s", type=float, help="lowest throughput, likewise")
    arguments.add_argument(
        "--widened", type=int, help="how often changed limits brought back engines that were left out"
    )
    planned = "id of the container's image that the job was planned for"
    arguments.add_argument("--server-image-id", help=planned)
    kept = "folder of measured points, which are not measured again; by default none is kept"
    arguments.add_argument("--kept", type=Path, help=kept)
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    add_server_choice(arguments)
    add_planned(arguments, "pytriton_version", "perf_analyzer_version", "model_analyzer_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write one candidate model per engine, run the sweep, keep the tables and plots."""
    require_hardware(arguments.hardware)
    contract = Contract.read(arguments.interface)
    if not contract.batched:
        # As Triton states that a model has no batch axis, and so nothing to wait for, and only instances to vary.
        arguments.max_batch_sizes, arguments.batching_delays_us, arguments.search = [0], [0], BRUTE
    varied = {entry.name: getattr(arguments, entry.name) for entry in fields(Sweep)}
    sweep = Sweep(**varied)
    filtered = engines_left_out(arguments)
    records = {
        f"{arguments.model}_{precision}": path
        for precision, path in records_by_precision(arguments).items()
        if precision not in {entry["precision"] for entry in filtered}
    }
    engines = {name: RecordedEngine.of_record(path) for name, path in records.items()}
    require_covered_batches(engines, arguments.max_batch_sizes)
    require_taken_batches(read_json(arguments.weights_record), arguments.max_batch_sizes, "load_test.max_batch_sizes")
    unwind_when_terminated()
    with new_workspace() as workspace:
        server = find_server(engines, workspace, arguments.tensorrt_python, choice_of(arguments))
        require_planned_image(server, arguments.server_image_id)
        reason = f": {arguments.server_why}" if arguments.server_why else ""
        progress(f"  the server is {server_in_words(server.facts())}{reason}")
        samples = read_samples(arguments.samples)
        first = sweep.max_batch_sizes[0], sweep.instances[0], sweep.batching_delays_us[0]
        for name, engine in engines.items():
            lay_out_candidate(workspace, served_model(name, engine, contract, *first), engine, samples, server)
        kept = KeptPoints(arguments.kept or workspace / "kept", workspace)
        conditions = kept_under(arguments, server)
        bases = {
            name: base_of(workspace / "repository", name, model_analyzer.input_data(workspace, name), conditions)
            for name in engines
        }
        kept.describe(bases, sweep.requests)
        logs_requests = model_analyzer.can_log_requests(samples, contract)
        rows = measure(engines, server, kept, sweep, is_gpu(arguments.hardware), logs_requests)
        with atomic_write(arguments.original) as partial:
            shutil.copyfile(workspace / "results" / "analysis.csv", partial)
        with atomic_write(arguments.plots) as partial:
            # The memory plot shows only the server process; the Python backend has the engine in another one.
            shutil.copytree(workspace / "plots", partial, ignore=shutil.ignore_patterns("cpu_mem*"))
    write_table(arguments.table, rows)
    conditions = {
        "origin": read_json(arguments.weights_record)["origin"],
        "measured_at": utc_now(),
        "key": {name: value for name, value in settings_of(arguments).items() if name not in UNTRACKED},
        "search": sweep.search,
        "left_out": filtered,
        "inputs": [tensor.in_words() for tensor in contract.inputs],
        "batched": contract.batched,
        "engines": {name: engine.record["key"] for name, engine in engines.items()},
        "engine_records": {name: sha256(path) for name, path in records.items()},
        "server": server.facts() | {"why": arguments.server_why},
        "requests_per_window": window(sweep),
        "stability_percent": arguments.stability_percent,
    }
    missing = not_measured(rows, engines, sweep)
    write_json(arguments.record, conditions | {"minutes": sweep.minutes, "not_measured": missing, "measurements": rows})
    if words := gaps_in_words(missing, rows, sweep.minutes):
        progress(f"  {words}")
    kept.finish()
    best = max(rows, key=lambda row: row["throughput_per_s"])
    progress(f"  {len(rows)} measurements; highest throughput {best['throughput_per_s']:.1f}/s ({best['precision']})")


def records_by_precision(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return {precision: build record} of the engines."""
    return {read_json(path)["key"]["precision"]: path for path in arguments.engine_records}


def engines_left_out(arguments: argparse.Namespace) -> list[dict]:
    """Return the engines that break a limit without load, by the benchmark (see `coarse_filter.left_out`).

    Raises SlipwayError if these are all engines.
    """
    if arguments.benchmark is None:
        return []
    precisions = list(records_by_precision(arguments))
    limits = {"p99_ms": arguments.p99_limit_ms, "min_throughput_per_s": arguments.min_throughput_per_s}
    largest = max(arguments.instances), max(arguments.max_batch_sizes)
    entries = coarse_filter.left_out(read_json(arguments.benchmark)["results"], precisions, limits, *largest)
    words = [left_out_in_words(entry) for entry in entries]
    for line in words:
        progress(f"  {line}")
    if len(entries) == len(precisions):
        raise SlipwayError(
            f"no engine holds the limits even without load, by the benchmark: {'; '.join(words)}; change "
            "`load_test.p99_limit_ms` or `load_test.min_throughput_per_s`, or add a faster precision"
        )
    return entries


def require_planned_image(server: Installation, planned: str | None) -> None:
    """Raise SlipwayError if another image got the name of the container's image after planning."""
    found = server.facts().get("image_id")
    if planned and found and planned != found:
        raise SlipwayError(
            f"the image {server.facts()['image']} is {found} now, and was {planned} when this job was planned; run "
            "snakemake again"
        )


def kept_under(arguments: argparse.Namespace, server: Installation) -> dict:
    """Return the conditions under which a measured point is kept: another one measures all points again."""
    names = ("hardware", "pytriton_version", "perf_analyzer_version", "model_analyzer_version", "stability_percent")
    program = Path(server.program)
    return {
        **{name: getattr(arguments, name) for name in names},
        "program": sha256(program) if program.is_file() else server.program,
        "server": [server.facts(), *server.flags],
        "code_sha256": digest(CodeHashes().of_program("load_test")),
    }


def measure(
    engines: dict[str, RecordedEngine],
    server: Installation,
    kept: KeptPoints,
    sweep: Sweep,
    on_gpu: bool,
    logs_requests: bool = False,
) -> list[dict]:
    """Run the sweep and return one row per measurement. Raise SlipwayError if there is none.

    Points of earlier runs are taken as they are, and new ones kept. `logs_requests`: perf_analyzer writes the times of
    each request, from which the interval of the p99 follows.
    """
    workspace, ports, key = kept.workspace, replace(Ports.free(), http=None), new_key()
    settings = model_analyzer.configuration(list(engines), sweep, ports, server, workspace, key)
    gpu = GpuMonitor() if on_gpu else None
    if gpu and gpu.unavailable:
        progress(f"  GPU memory is not measured: {gpu.unavailable}")
    owner = workspace.name if server.container else None
    check = partial(require_own_listeners, ports, workspace.name)
    times = workspace / REQUESTS if logs_requests else None
    narrator = Narrator(PeakMemory(gpu=gpu, owner=owner), check, requests=times)
    interference = Interference(lambda: narrator.memory.phase, gpu, owner=owner)

    def keep(point: str, key: str) -> None:
        figures[point] = figures_of(point, narrator, interference, sweep, on_gpu)
        kept.keep(key, figures[point], engines[point.rpartition("_config_")[0]])

    figures: dict[str, dict] = {}
    narrator.on_point = {MEASURED: keep, REUSED: kept.reuse}
    variables = budget(list(engines), sweep) | {KEPT: str(kept.description)}
    if logs_requests:
        variables[TIMES_OF_REQUESTS] = "yes"
    with narrator.memory.watching(), interference.watching():
        try:
            model_analyzer.run(settings, workspace, key, variables, narrator)
        except SlipwayError as error:
            # It gives up if its first two points have no figures.
            raise SlipwayError(none_in_time(sweep)) if narrator.out_of_time else error from None
    rows = model_analyzer.read_table(workspace / "results" / "analysis.csv")
    if not rows and narrator.out_of_time:
        raise SlipwayError(none_in_time(sweep))
    if not rows:
        raise SlipwayError(
            "Model Analyzer has no figures of any configuration; its log says why. Lower `load_test.concurrency`"
        )
    of_points = kept.reused | figures
    described = [
        {
            "model": row["model"],
            "precision": engines[row["model"]].record["key"]["precision"],
            **row,
            **varied_of(row, workspace),
            **(of_points.get(point := point_of(row)) or figures_of(point, narrator, interference, sweep, on_gpu)),
        }
        for row in rows
    ]
    return by_one_name(described)


def none_in_time(sweep: Sweep) -> str:
    """Return the error of a load test that measured nothing in its time, with settings that give it more."""
    minutes = f"{sweep.minutes:g} minutes of `load_test.minutes`" if sweep.minutes else "time that each point has"
    longer = f"minutes: {4 * sweep.minutes:g}, " if sweep.minutes else ""
    return (
        f"the load test measured no configuration in the {minutes}; set "
        f"`load_test: {{{longer}requests: 5, concurrency: [{sweep.concurrency[0]}], "
        f"instances: [{sweep.instances[0]}]}}`, or serve a smaller answer"
    )


if __name__ == "__main__":
    run(main, parse_arguments())
