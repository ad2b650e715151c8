"""Measure every engine of a target under load: Model Analyzer and perf_analyzer against a real tritonserver."""

import argparse
import csv
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from slipway.contract.batches import require_taken_batches
from slipway.contract.contract import Contract
from slipway.core.artifacts import atomic_write, read_json, sha256, write_json
from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.clock import utc_now
from slipway.core.errors import SlipwayError
from slipway.core.hardware import require_hardware
from slipway.core.job_settings import add_planned, settings_of
from slipway.core.setting_options import add_settings
from slipway.engines.recorded_engine import RecordedEngine
from slipway.keys.code_hash import CodeHashes, digest
from slipway.load_test import coarse_filter, model_analyzer
from slipway.load_test.analyzed_points import RunPlan
from slipway.load_test.candidates import Candidates, require_covered_batches
from slipway.load_test.interference import PointMonitor
from slipway.load_test.kept_points import KeptPoints, base_of
from slipway.load_test.limits import gaps_in_words, left_out_in_words
from slipway.load_test.progress_reader import ProgressReader
from slipway.load_test.sweep import BRUTE, Sweep
from slipway.load_test.workspace import workspace as new_workspace
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import Installation
from slipway.triton.server.kinds import server_in_words
from slipway.triton.server.ownership import require_own_listeners
from slipway.triton.server.restricted_apis import GRPC_HEADER, new_key
from slipway.triton.server.server_options import add_server_choice

# Limits that only leave out engines. They are not in the key; the setting `widened` is.
UNTRACKED = ("p99_limit_ms", "min_throughput_per_s")
# Keys of a row with several values. They are only in the record, since a cell of the table has one value.
NOT_IN_TABLE = ("windows_per_s", "p99_interval_ms", "gpu_state")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(
        __doc__,
        *("model", "engine_records", "weights_record", "interface", "samples", "hardware", "record"),
        table="CSV to write: one row per measurement",
        original="Model Analyzer's own table to keep (.csv)",
        plots="folder to write Model Analyzer's plots to",
    )
    grid = ("concurrency", "instances", "max_batch_sizes", "batching_delays_us", "search")
    add_settings(arguments, "load_test", *grid, "requests", "stability_percent", "minutes")
    # Engines that break one of these two limits are left out.
    add_settings(arguments, "load_test", *UNTRACKED)
    benchmark = "record of the benchmark, for leaving out engines that break a limit without load"
    arguments.add_argument("--benchmark", type=Path, help=benchmark)
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
    """Write one candidate model per engine, run the sweep, and keep the tables, the plots and the record."""
    require_hardware(arguments.hardware)
    contract, weights = Contract.read(arguments.interface), read_json(arguments.weights_record)
    if not contract.batched:
        # A maximum batch size of 0 means no batch axis in Triton. Only the number of instances can vary then.
        arguments.max_batch_sizes, arguments.batching_delays_us, arguments.search = [0], [0], BRUTE
    sweep = Sweep(**{entry.name: getattr(arguments, entry.name) for entry in fields(Sweep)})
    records = {read_json(path)["key"]["precision"]: path for path in arguments.engine_records}
    filtered = engines_left_out(arguments, list(records))
    for entry in filtered:
        del records[entry["precision"]]
    engines = {f"{arguments.model}_{name}": RecordedEngine.of_record(path) for name, path in records.items()}
    require_covered_batches(engines, sweep.max_batch_sizes)
    require_taken_batches(weights, sweep.max_batch_sizes, "load_test.max_batch_sizes")
    unwind_when_terminated()
    with new_workspace() as workspace:
        candidates = Candidates.of(engines, workspace, arguments)
        kept = KeptPoints(arguments.kept or workspace / "kept")
        require_planned_image(candidates.server, arguments.server_image_id)
        reason = f": {arguments.server_why}" if arguments.server_why else ""
        progress(f"  the server is {server_in_words(candidates.server.facts())}{reason}")
        rows = measure(candidates, sweep, kept, workspace, kept_under(arguments, candidates.server))
        keep_originals(arguments, workspace)
    write_table(arguments.table, rows)
    record = {
        "origin": weights["origin"],
        "measured_at": utc_now(),
        "key": {name: value for name, value in settings_of(arguments).items() if name not in UNTRACKED},
        "left_out": filtered,
        "engine_records": {f"{arguments.model}_{name}": sha256(path) for name, path in records.items()},
        "server": candidates.server.facts() | {"why": arguments.server_why},
        **facts_of(candidates, sweep, rows),
    }
    write_json(arguments.record, record)
    if words := gaps_in_words(record["not_measured"], rows, sweep.minutes):
        progress(f"  {words}")
    kept.finish()
    best = max(rows, key=lambda row: row["throughput_per_s"])
    progress(f"  {len(rows)} measurements; highest throughput {best['throughput_per_s']:.1f}/s ({best['precision']})")


def keep_originals(arguments: argparse.Namespace, workspace: Path) -> None:
    """Copy Model Analyzer's own table and plots from the folder `workspace` to --original and --plots.

    Its plot of memory is not copied: it shows only the server process, but the Python backend runs the engine in
    another one.
    """
    with atomic_write(arguments.original) as partial:
        shutil.copyfile(workspace / model_analyzer.TABLE, partial)
    with atomic_write(arguments.plots) as partial:
        # The memory plot shows only the server process, but the Python backend runs the engine in another process.
        shutil.copytree(workspace / "plots", partial, ignore=shutil.ignore_patterns("cpu_mem*"))


def facts_of(candidates: Candidates, sweep: Sweep, rows: list[dict]) -> dict:
    """Return the parts of the record about the sweep: engines, requests, measured points and missing points.

    `rows` are the measurements, as `measure` returns. "measurements" has them; "not_measured" has {"precision", ...} of
    each planned point without a measurement.
    """
    keys = {name: engine.record["key"] for name, engine in candidates.engines.items()}
    missing = sweep.unmeasured(list(keys), rows)
    return {
        "search": sweep.search,
        "inputs": [tensor.in_words() for tensor in candidates.contract.inputs],
        "batched": candidates.contract.batched,
        "engines": keys,
        "fewest_requests_per_window": sweep.requests,
        "stability_percent": sweep.stability_percent,
        "minutes": sweep.minutes,
        "not_measured": [{"precision": keys[point["model"]]["precision"], **point} for point in missing],
        "measurements": rows,
    }


def engines_left_out(arguments: argparse.Namespace, precisions: list[str]) -> list[dict]:
    """Return the engines that break a limit even without load, by the benchmark, so that they are not load-tested.

    An entry is a dict of `coarse_filter.left_out`. Without --benchmark, the list is empty. Raises SlipwayError if all
    engines break a limit.
    """
    if arguments.benchmark is None:
        return []
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
    """Raise SlipwayError if the container's image has another ID than `planned`, its ID when the job was planned.

    If one of the two IDs is not known, nothing is raised.
    """
    running = server.facts().get("image_id")
    if planned and running and planned != running:
        raise SlipwayError(
            f"the image {server.facts()['image']} is {running} now, and was {planned} when this job was planned; run "
            "snakemake again"
        )


def kept_under(arguments: argparse.Namespace, server: Installation) -> dict:
    """Return the conditions of the measurements: hardware, versions, server, program and code.

    They are hashed with each point that is stored for later runs. So if one of them changes, all points are measured
    again.
    """
    names = ("hardware", "pytriton_version", "perf_analyzer_version", "model_analyzer_version", "stability_percent")
    program = Path(server.program)
    return {
        **{name: getattr(arguments, name) for name in names},
        "program": sha256(program) if program.is_file() else server.program,
        "server": [server.facts(), *server.flags],
        "code_sha256": digest(CodeHashes().of_program("load_test")),
    }


def measure(candidates: Candidates, sweep: Sweep, kept: KeptPoints, workspace: Path, conditions: Mapping) -> list[dict]:
    """Run the sweep, and return one row per measurement. Raise SlipwayError if nothing was measured.

    A row is a dict with the engine's "model" and "precision", the configuration, the load and the figures. `workspace`
    is the folder of Triton's and Model Analyzer's files. Points that earlier runs measured under the same `conditions`
    are reused. New points are stored in `kept`.
    """
    models, server = list(candidates.engines), candidates.server
    for name in models:
        first = sweep.max_batch_sizes[0], sweep.instances[0], sweep.batching_delays_us[0]
        candidates.lay_out(workspace, candidates.configured(name, *first))
    ports, key = replace(Ports.free(), http=None), new_key()
    settings = model_analyzer.configuration(models, sweep, ports, server, workspace, key)
    if candidates.gpu and candidates.gpu.unavailable:
        progress(f"  GPU memory is not measured: {candidates.gpu.unavailable}")
    plan = plan_of(candidates, sweep, kept, workspace, conditions, key)
    owner = workspace.name if server.container else None
    reader = ProgressReader(
        candidates.engines,
        kept,
        PointMonitor(candidates.gpu, owner),
        partial(require_own_listeners, ports, workspace.name),
        sweep.stability_percent,
    )
    with reader.monitor.watching():
        try:
            model_analyzer.run(settings, plan, workspace, reader)
        except SlipwayError:
            # Model Analyzer gives up if its first two points have no figures.
            if reader.rows or not reader.out_of_time:
                raise
    if reader.rows:
        return reader.rows
    if reader.out_of_time:
        raise SlipwayError(none_in_time(models, sweep))
    raise SlipwayError(
        "Model Analyzer has no figures of any configuration; its log says why. Lower `load_test.concurrency`"
    )


def plan_of(
    candidates: Candidates, sweep: Sweep, kept: KeptPoints, workspace: Path, conditions: Mapping, key: str
) -> RunPlan:
    """Return the instructions for the process that runs Model Analyzer. `key` is the key of the server that it starts.

    `conditions` are those of `kept_under`.
    """
    models, repository = list(candidates.engines), workspace / "repository"
    return RunPlan(
        points=sweep.expected_points(models),
        seconds=sweep.seconds(models),
        most_in_flight=sweep.most_in_flight,
        requests=sweep.requests,
        header=(GRPC_HEADER, key),
        # The times of each request give the interval of the p99.
        logs_requests=model_analyzer.can_log_requests(candidates.samples, candidates.contract),
        bases={
            name: base_of(repository, name, model_analyzer.input_data(workspace, name), conditions) for name in models
        },
        store=str(kept.store.resolve()),
        owner=None if candidates.server.container else workspace.name,
    )


def write_table(path: Path, rows: list[dict]) -> None:
    """Write the measurements as CSV, without the columns NOT_IN_TABLE. `rows` are the dicts that `measure` returns."""
    with atomic_write(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        columns = [name for name in rows[0] if name not in NOT_IN_TABLE]
        writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def none_in_time(models: list[str], sweep: Sweep) -> str:
    """Return the error message of a load test that measured nothing in its time, with settings for more time.

    `models` are the names of the Triton models, one for each engine.
    """
    nothing = "the load test measured no configuration"
    if short := sweep.too_short_in_words(models):
        return f"{nothing}: {short}"
    count = sweep.expected_points(models)
    share = f"{sweep.seconds(models) / count:,.0f} s for each of {count} points"
    minutes = f"`load_test.minutes: {sweep.minutes:g}`, which is {share}" if sweep.minutes else share
    longer = f"minutes: {4 * sweep.minutes:g}, " if sweep.minutes else ""
    return (
        f"{nothing} in {minutes}: three windows of at least {sweep.requests} requests take longer; "
        f"set `load_test: {{{longer}requests: 5, concurrency: [{sweep.concurrency[0]}], "
        f"instances: [{sweep.instances[0]}]}}`, or serve a smaller answer"
    )


if __name__ == "__main__":
    run(main, parse_arguments())
