"""Find the highest rate of requests, in an open loop, that the fastest configurations answer within the p99 limit.

This program starts the same server as the load test. perf_analyzer sends requests with Poisson arrivals.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.clock import utc_now
from slipway.core.errors import SlipwayError
from slipway.core.hardware import require_hardware
from slipway.core.job_settings import add_planned, settings_of
from slipway.core.setting_options import add_settings
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test import capacity
from slipway.load_test.accuracy_loss import proven_rows, read_accuracy
from slipway.load_test.candidates import Candidates
from slipway.load_test.capacities import contenders, needed_rate
from slipway.load_test.goals import CONFIGURATION, add_choice, limits_of
from slipway.load_test.limits import configuration_in_words
from slipway.load_test.option_trials import Trial, options_of
from slipway.load_test.prober import AUTO, Prober
from slipway.load_test.workspace import workspace as new_workspace
from slipway.triton.repository.model_config import Served, ServingOptions
from slipway.triton.server.server_options import add_server_choice


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(
        __doc__,
        *("load_test", "engine_records", "weights_record", "interface", "samples", "hardware", "output"),
    )
    add_choice(arguments)
    rates = "rates to measure, in requests/s; auto finds them by bisection, none measures nothing"
    arguments.add_argument("--request-rates", nargs="*", default=[AUTO], help=rates)
    add_settings(arguments, "load_test", "requests", "capacity_minutes")
    arguments.add_argument("--tensorrt-python", type=Path, help="interpreter that has TensorRT, if another than this")
    add_server_choice(arguments)
    add_planned(arguments, "pytriton_version", "perf_analyzer_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Measure the capacity of the best configurations of the load test, and write a record with all points."""
    require_hardware(arguments.hardware)
    tested = read_json(arguments.load_test)
    rows = allowed_rows(tested, arguments)
    best_rows = contenders(rows, arguments.goal) if arguments.request_rates else []
    engines = engines_of(best_rows, tested, arguments.engine_records)
    unwind_when_terminated()
    measured: dict = {"server": None, "serving_options": asdict(ServingOptions()), "trials_of_options": []}
    if best_rows:
        with new_workspace() as workspace:
            measured = measure_all(best_rows, Candidates.of(engines, workspace, arguments), workspace, arguments)
    record = {
        "origin": read_json(arguments.weights_record)["origin"],
        "key": settings_of(arguments),
        "measured_at": utc_now(),
        "limits": {"p99_ms": arguments.p99_limit_ms},
        "samples_per_request": 1,
        "arrivals": "Poisson",
        "engines": {name: engine.record["key"] for name, engine in engines.items()},
        "chosen_from": {"measurements": len(rows), "load_test_sha256": sha256(arguments.load_test)},
        "configurations": [],
        **measured,
    }
    write_json(arguments.output, record)


def allowed_rows(tested: dict, arguments: argparse.Namespace) -> list[dict]:
    """Return the measurements of the load test that hold all limits, of precisions with an accuracy record.

    `tested` is the record of the load test, the JSON that load_test.py writes.
    """
    rows, limits = proven_rows(tested["measurements"], read_accuracy(arguments.accuracy)), limits_of(arguments)
    return [row for row in rows if not limits.broken(row)]


def engines_of(rows: list[dict], tested: dict, records: list[Path]) -> dict[str, RecordedEngine]:
    """Return {model of a row: its engine}. Raise SlipwayError if the load test measured an engine that is not here.

    `rows` are measurements in `tested`, the record of the load test. `records` are the paths of the build records.
    """
    by_digest = {sha256(path): path for path in records}
    engines = {}
    for name in dict.fromkeys(row["model"] for row in rows):
        path = by_digest.get(tested["engine_records"][name])
        if path is None:
            raise SlipwayError(f"the load test measured another engine {name} than the one here; run snakemake again")
        engines[name] = RecordedEngine.of_record(path)
    return engines


def measure_all(rows: list[dict], candidates: Candidates, workspace: Path, arguments: argparse.Namespace) -> dict:
    """Measure the capacity of each row's configuration, with the options of the backend that help. Return a dict.

    It has "server", "serving_options", "trials_of_options" (see `try_options`) and "configurations" (see
    `capacity_of`). `rows` are measurements of the load test. The options are tried with the first row, in at most a
    third of the time. The rows share the remaining time equally.
    """
    end = time.monotonic() + 60 * arguments.capacity_minutes
    options, trials = try_options(rows[0], candidates, workspace / "options", end)
    capacities: list[dict] = []
    for number, row in enumerate(rows):
        served, folder = configuration_of(row, candidates, options), workspace / str(number)
        candidates.lay_out(folder, served)
        share_s = (end - time.monotonic()) / (len(rows) - number)
        needed = needed_rate(row, capacities, limits_of(arguments))
        progress(f"  measuring the capacity of {row['precision']} with {configuration_in_words(row)}")
        with candidates.served_from(folder) as running:
            share_end = time.monotonic() + share_s
            limits = arguments.requests, arguments.p99_limit_ms
            prober = Prober(candidates, running, served, row, share_end, *limits)
            prober.warm_up()
            points, ended_by = prober.points(arguments.request_rates, needed)
        capacities.append(capacity_of(row, points, ended_by, arguments.p99_limit_ms))
        progress(f"    {capacities[-1]['words']}")
    return {
        "server": candidates.server.facts(),
        "serving_options": asdict(options),
        "trials_of_options": trials,
        "configurations": capacities,
    }


def configuration_of(row: dict, candidates: Candidates, options: ServingOptions | None = None) -> Served:
    """Return the Triton model for the configuration of a row, a measurement of the load test.

    `options` are options of the backend that the model gets; None for none.
    """
    chosen = row["max_batch_size"], row["instances"], row.get("queue_delay_us", 0)
    return candidates.configured(row["model"], *chosen, options)


def try_options(row: dict, candidates: Candidates, folder: Path, end: float) -> tuple[ServingOptions, list[dict]]:
    """Try the options of the backend with the row's configuration. Return (the options that help, their trials).

    A trial is a dict as `Trial.run` returns. Without options to try, the list of trials is empty. `end` is the end of
    the whole measurement, in seconds of the monotonic clock; the trials take at most a third of the time until then.
    """
    served = configuration_of(row, candidates)
    if not options_of(served, candidates.server):
        return ServingOptions(), []
    progress(f"  trying options of the backend with {row['precision']}, {configuration_in_words(row)}")
    trials_end = time.monotonic() + (end - time.monotonic()) / 3
    return Trial(candidates, served, row["concurrency"], trials_end).run(folder)


def capacity_of(row: dict, points: list[dict], ended_by: str | None, p99_limit_ms: float | None) -> dict:
    """Return the capacity of a row's configuration: the configuration, the keys of `capacity.capacity`, and more.

    "closed_loop_per_s" is the throughput in the load test, "words" the capacity in words, and "points" the measured
    `points`. `ended_by` is the reason of an early end of the search, or None. `p99_limit_ms` is the limit, for the
    words.
    """
    measured = capacity.capacity(points, ended_by)
    return {
        **{name: row[name] for name in ("model", *CONFIGURATION, "concurrency") if name in row},
        "closed_loop_per_s": row["throughput_per_s"],
        **measured,
        "words": capacity.in_words(measured, p99_limit_ms),
        "points": points,
    }


if __name__ == "__main__":
    run(main, parse_arguments())
