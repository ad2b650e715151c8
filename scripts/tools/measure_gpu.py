"""Measure a GPU with the workflow: run every configuration in a folder, and collect its records in one JSON file.

The steps are the accuracy, the benchmark, the load test and the choice. The collected records are written after each
step, as <name>.incomplete.json until all steps are done. So a step that fails or is stopped loses only its own results.
With --until, the command ends after a step. A second command in the same working folder continues: the workflow
measures nothing twice.
"""

import argparse
import copy
import os
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import read_json, remove, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.hardware import usable_cores
from slipway.tools.snakemake_runs import REPOSITORY, now, snakemake, without_samples, write_config

STEPS = ("accuracy", "benchmark", "load_test", "choice")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--configurations", type=Path, required=True, help="folder of .yaml files, one model each")
    arguments.add_argument("--only", nargs="+", help="names of files to measure; default: all in the folder")
    add_machine_options(arguments)
    arguments.add_argument("--labelled", type=Path, help="labelled photographs, for configurations with `accuracy`")
    arguments.add_argument("--weights", nargs="*", default=[], help="checkpoints, as NAME=PATH")
    arguments.add_argument("--output", type=Path, help="folder to write <name>.json to; left out, --configurations")
    arguments.add_argument("--until", choices=STEPS, default=STEPS[-1], help="last step; the next command goes on")
    return arguments.parse_args(argv)


def add_machine_options(arguments: argparse.ArgumentParser) -> None:
    """Add the options for the paths of this machine, which `on_this_machine` reads."""
    arguments.add_argument("--workplace", type=Path, default=Path("bench"), help="working folder, which is kept")
    arguments.add_argument("--tensorrt-python", type=interpreter, help="interpreter with TensorRT; left out, this one")
    arguments.add_argument("--calibration", type=Path, help="folder of photographs for int8's scales")


def interpreter(text: str) -> str:
    """Return the value of --tensorrt-python so that it works in any working folder.

    A path becomes an absolute path. A name on PATH stays unchanged.
    """
    return str(Path(text).absolute()) if os.sep in text else text


def main(arguments: argparse.Namespace) -> None:
    """Measure each configuration with the workflow, and write its collected records as JSON."""
    configurations = configurations_of(arguments)
    weights = weights_of(arguments)
    for path in configurations:
        progress(f"measuring {path.stem}")
        folder = arguments.workplace / path.stem
        config = configure(folder, path, weights.get(path.stem), arguments)
        measure(folder, path.stem, config, arguments.output or arguments.configurations, arguments.until)


def measure(folder: Path, name: str, config: dict, output: Path, until: str = STEPS[-1]) -> None:
    """Run the steps up to `until` for one configuration, and write their collected records into the folder `output`.

    `folder` is the working folder, `name` the configuration's name, and `config` the parsed configuration. The file is
    <name>.json if all steps are done, else <name>.incomplete.json. If a step fails, the other steps are still run, and
    SlipwayError is raised at the end.
    """
    steps, done, failures = records_of(name, config), [], []
    complete, incomplete = output / f"{name}.json", output / f"{name}.incomplete.json"
    for step, records in steps.items():
        if STEPS.index(step) > STEPS.index(until):
            continue
        try:
            make_records(folder, records)
        except SlipwayError as error:
            failures.append(f"{step}: {error}")
            continue
        done.append(step)
        write_json(complete if len(done) == len(steps) else incomplete, collect(folder, name, config, done))
    if failures:
        written = f"; {incomplete} has {' and '.join(done)}" if done else ""
        raise SlipwayError(f"{'; '.join(failures)}{written}")
    if len(done) == len(steps):
        remove(incomplete)


def configurations_of(arguments: argparse.Namespace) -> list[Path]:
    """Return the paths of the configurations to measure.

    Raises SlipwayError if a file that --only names is missing, or if the folder has no configuration.
    """
    paths = {path.stem: path for path in sorted(arguments.configurations.glob("*.yaml"))}
    missing = set(arguments.only or []) - set(paths)
    if missing or not paths:
        named = f"<name>.yaml of {', '.join(sorted(missing))}" if missing else "<name>.yaml"
        raise SlipwayError(f"{arguments.configurations} holds no {named}; correct --configurations or --only")
    return [path for model, path in paths.items() if not arguments.only or model in arguments.only]


def weights_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return {name of a configuration: path of its checkpoint}, from the option --weights NAME=PATH.

    A name that --only leaves out is allowed. Raises SlipwayError for another form, or for a name that no file in the
    folder --configurations has.
    """
    models = sorted(path.stem for path in arguments.configurations.glob("*.yaml"))
    weights = {}
    for text in arguments.weights:
        model, _, path = text.partition("=")
        if model not in models or not path:
            raise SlipwayError(f"--weights has '{text}', but must be NAME=PATH, of {' or '.join(models)}")
        weights[model] = path
    return weights


def subject_of(name: str, config: dict) -> tuple[str, str, list[str]]:
    """Return (model, target, precisions of the target) of a configuration that has one of each to measure.

    `name` is the configuration's name, and `config` the parsed configuration. The target is the kind of GPU. Raises
    SlipwayError, with the name of the file, unless there are exactly one model and one target with precisions.
    """
    models, targets = list(config.get("models") or {}), config.get("targets") or {}
    stated = [
        (target, settings["precisions"])
        for target, settings in targets.items()
        if isinstance(settings.get("precisions"), list)
    ]
    if not len(models) == len(targets) == len(stated) == 1:
        raise SlipwayError(f"{name}.yaml must have one model, and one target with a list of its precisions")
    return models[0], *stated[0]


def configure(folder: Path, path: Path, weights: str | None, arguments: argparse.Namespace) -> dict:
    """Write the configuration in `path`, with this machine's paths added, as config.yaml into the folder `folder`.

    `weights` is the path of the checkpoint; with None, the configuration's own weights are used. `arguments` are the
    options with the other paths. Returns the parsed configuration without these paths.
    """
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    model, _, _ = subject_of(path.stem, config)
    here = on_this_machine(config, arguments)
    if arguments.labelled and "accuracy" in here:
        here["accuracy"]["labelled"] = str(arguments.labelled.resolve())
    if weights:
        here["models"][model]["weights"] = str(Path(weights).resolve())
    write_config(folder, here)
    return config


def on_this_machine(config: dict, arguments: argparse.Namespace) -> dict:
    """Return a copy of a parsed configuration with the paths of this machine.

    `arguments` has the options of `add_machine_options`: the interpreter with TensorRT, and the folder of photographs
    for calibration. Without this folder, the configuration's own is used.
    """
    here = copy.deepcopy(config)
    here["tensorrt"] = {**here.get("tensorrt", {}), "python": arguments.tensorrt_python}
    if arguments.calibration:
        here["calibration"] = {**here.get("calibration", {}), "images": str(arguments.calibration.resolve())}
    return here


def records_of(name: str, config: dict) -> dict[str, list[str]]:
    """Return {step: paths of the records that the step makes}, for the steps of one configuration.

    `name` is the configuration's name, and `config` the parsed configuration. The step "accuracy" is always included,
    "benchmark" if the configuration has the section `benchmark`, "load_test" and "choice" if it has `load_test`.
    """
    model, target, precisions = subject_of(name, config)
    names = {"accuracy": [f"{model}.{precision}.accuracy.json" for precision in precisions]}
    names |= {"benchmark": [f"{model}.benchmark.json"]} if "benchmark" in config else {}
    if "load_test" in config:
        names |= {"load_test": ["analysis/analysis.json"], "choice": ["capacity.json", "selection.json"]}
    return {step: [f"results/{model}/{target}/{file}" for file in files] for step, files in names.items()}


def make_records(folder: Path, records: list[str]) -> float:
    """Let Snakemake make `records`, paths relative to the working folder `folder`. Return its wall time in seconds.

    Jobs without a GPU run beside jobs with a GPU.
    """
    profile, cores = str(REPOSITORY / "profiles" / "default"), str(2 * usable_cores())
    options = ("--profile", profile, "--cores", cores, "--keep-going", "--resources", "gpu=1", "--")
    return snakemake(folder, *options, *records, shown=True).seconds


def collect(workplace: Path, name: str, config: dict, done: list[str]) -> dict:
    """Return the collected records of one configuration, the content of <name>.json.

    `config` is the parsed configuration, and `done` are the names of the finished steps. The result has "measured_at",
    "configuration" and "origin" (of the weights). The steps add "engines" and "accuracy" ({precision: record}),
    "benchmark", "load_test", "capacity" and "selection" (one record each). If steps are missing, "incomplete" has their
    names.
    """
    model, target, precisions = subject_of(name, config)
    folder = workplace / "results" / model / target
    missing = [step for step in records_of(name, config) if step not in done]
    record: dict[str, Any] = {"incomplete": missing} if missing else {}
    record |= now() | {
        "configuration": config,
        "origin": read_json(workplace / "results" / model / "weights.json")["origin"],
    }
    if "accuracy" in done:
        record["engines"], record["accuracy"] = (
            {precision: read_json(folder / f"{model}.{precision}.{kind}.json") for precision in precisions}
            for kind in ("engine", "accuracy")
        )
    if "benchmark" in done:
        record["benchmark"] = without_samples(read_json(folder / f"{model}.benchmark.json"))
    if "load_test" in done:
        record["load_test"] = read_json(folder / "analysis" / "analysis.json")
    if "choice" in done:
        record |= {kind: read_json(folder / f"{kind}.json") for kind in ("capacity", "selection")}
    return record


if __name__ == "__main__":
    run(main, parse_arguments())
