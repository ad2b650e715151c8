"""Measure the cost of a retraining: a cold build, a build with the timing cache, and a refit, side by side on one GPU.

The workflow updates the engine of one model in four builds. They are named weeks, as if the model was trained weekly:
before each build, a new checkpoint has slightly changed weights.
The program works in its own folder, and starts without an engine and a timing cache.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure_gpu import add_machine_options, make_records, on_this_machine, subject_of
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.pytorch import torch
from slipway.keys.config import complete
from slipway.models.architectures import build
from slipway.models.checkpoint_files import read_checkpoint
from slipway.models.choosing import load_checkpoint
from slipway.tools.snakemake_runs import now, write_config

# {week: value of `tensorrt.refit`}. The third week builds the engine that the fourth week refits.
WEEKS = {"cold": False, "timing_cache": False, "refittable": True, "refit": True}
# The random change of a weight by a training: this share of the weight, and this share of its tensor's deviation.
CHANGE = 0.01
# The file in the working folder that each training replaces.
CHECKPOINT = "checkpoint.pth"
# The Python interpreter with TensorRT runs this program, which prints the times of two engines.
_COMPARE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from slipway.runtimes.tensorrt import trial
print(json.dumps(trial(*sys.argv[2:], None)["speed"]))
"""


class Retraining(NamedTuple):
    """The working folder of the measurement, and the model, target and precision of its engine."""

    folder: Path
    model: str
    target: str
    precision: str

    @property
    def record(self) -> str:
        """Return the path of the engine's build record, relative to `folder`."""
        return f"results/{self.model}/{self.target}/{self.model}.{self.precision}.engine.json"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--configuration", type=Path, required=True, help="<model>.yaml of docs/measurements/<gpu>")
    arguments.add_argument("--precision", default="fp16", help="precision of the engine")
    content = "optimization profiles as JSON; left out, the configuration's. TensorRT 8.5 refits one alone"
    arguments.add_argument("--profiles", type=profiles, help=content)
    arguments.add_argument("--weights", type=Path, help="checkpoint to start from; left out, seeded random weights")
    add_machine_options(arguments)
    arguments.add_argument("--output", type=Path, help="JSON to write; left out, <configuration>.retraining.json")
    return arguments.parse_args(argv)


def profiles(text: str) -> list[dict]:
    """Return TensorRT's optimization profiles from JSON text, a list of {"min", "opt", "max"} (batch sizes).

    Raises ValueError if the text is no JSON.
    """
    return json.loads(text)


def main(arguments: argparse.Namespace) -> None:
    """Build an engine for each week's new weights, compare a plain with a refittable engine, and write the times."""
    config = yaml.safe_load(arguments.configuration.read_text(encoding="utf-8"))
    retraining = retraining_of(arguments, config)
    shutil.rmtree(retraining.folder, ignore_errors=True)  # the first build must be cold
    state = first_weights(config["models"][retraining.model], arguments.weights)
    weeks = {}
    for number, (name, refit) in enumerate(WEEKS.items(), start=1):
        progress(f"week {number}: {name.replace('_', ' ')}")
        configure(retraining, config, arguments, refit)
        train(retraining.folder, state, seed=number)
        seconds = make_records(retraining.folder, [retraining.record])
        weeks[name] = {"workflow_seconds": round(seconds, 1), **read_json(retraining.folder / retraining.record)}
        engine = retraining.folder / retraining.record.replace(".engine.json", ".trt")
        shutil.copyfile(engine, retraining.folder / f"{name}.trt")
    record = {
        **now(),
        "configuration": config,
        **({"profiles": arguments.profiles} if arguments.profiles else {}),
        "weights": "a checkpoint" if arguments.weights else "random",
        **summary(weeks),
        "refittable_engine_to_plain": compare(retraining, arguments.tensorrt_python),
    }
    path = arguments.output or arguments.configuration.with_suffix(".retraining.json")
    write_json(path, {**record, "weeks": weeks})
    progress(json.dumps({name: record[name] for name in ("ways", "seconds", "of_cold")}, indent=2))


def retraining_of(arguments: argparse.Namespace, config: dict) -> Retraining:
    """Return the working folder, and the model, target and precision of the engine to measure.

    `config` is the parsed configuration of --configuration. Raises SlipwayError unless it has one model and one target,
    and the target's runtime is TensorRT.
    """
    model, target, _ = subject_of(arguments.configuration.stem, config)
    if config["targets"][target].get("runtime") != "tensorrt":
        raise SlipwayError(
            f"{arguments.configuration} must say `runtime: tensorrt` of its target {target}: engines of no other "
            "runtime have a timing cache or take new weights"
        )
    return Retraining(arguments.workplace / f"{model}.retraining", model, target, arguments.precision)


def first_weights(model: dict, weights: Path | None) -> dict[str, torch.Tensor]:
    """Return the state dict before the first week: from the checkpoint `weights`, or random if `weights` is None.

    `model` is the model's entry in config.yaml. The random weights are always the same.
    """
    settings = complete({"models": {"m": model}, "targets": {"t": {}}})["models"]["m"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(settings["architecture"], settings["arguments"])
    if weights:
        load_checkpoint(network, read_checkpoint(weights), weights, settings["weights_key"])
    return network.state_dict()


def train(folder: Path, state: dict[str, torch.Tensor], seed: int) -> None:
    """Write a checkpoint whose weights differ slightly from `state`, as after another week of training."""
    random = torch.Generator().manual_seed(seed)
    torch.save({name: changed(name, values, random) for name, values in state.items()}, folder / CHECKPOINT)


def changed(name: str, values: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return the values of the tensor `name` of a state dict with a little noise from the generator `random`.

    Integers stay unchanged, and variances stay positive.
    """
    if not values.is_floating_point():
        return values
    noise = CHANGE * torch.randn(values.shape, generator=random)
    if name.endswith("running_var"):
        return values * (1 + noise.clamp(-0.1, 0.1))
    spread = values.std() if values.numel() > 1 else values.abs().mean()
    return values * (1 + noise) + CHANGE * spread.clamp(min=1e-3) * torch.randn(values.shape, generator=random)


def configure(retraining: Retraining, config: dict, arguments: argparse.Namespace, refit: bool) -> None:
    """Write config.yaml for the next build: this machine's paths, the new checkpoint, and `refit` on or off.

    `config` is the parsed configuration of --configuration. `refit` is the value of `tensorrt.refit`.
    """
    here = on_this_machine(config, arguments)
    here["models"] = {retraining.model: {**here["models"][retraining.model], "weights": CHECKPOINT}}
    here["targets"][retraining.target]["precisions"] = [retraining.precision]
    here["tensorrt"] |= {"timing_cache": True, "refit": refit}
    if arguments.profiles:
        here["tensorrt"]["profiles"] = arguments.profiles
    write_config(retraining.folder, here)


def summary(weeks: dict[str, dict]) -> dict:
    """Return the figures that compare the four builds, for the record.

    `weeks` is {name in WEEKS: the engine's build record}. The build "cold" had no timing cache. The result is {"gpu",
    "versions": those of the cold build, "ways": {name: how the engine was made}, "seconds": {name: time of the build
    with the checks of the engine}, "of_cold": {name: this time / the time of the cold build}}.
    """
    seconds = {name: record["spent_seconds"] for name, record in weeks.items()}
    return {
        "gpu": weeks["cold"]["gpu"],
        "versions": weeks["cold"]["versions"],
        "ways": {name: record["way"] for name, record in weeks.items()},
        "seconds": seconds,
        "of_cold": {name: round(spent / seconds["cold"], 4) for name, spent in seconds.items()},
    }


def compare(retraining: Retraining, python: str | None) -> list[dict]:
    """Measure a plain and a refittable engine in turn on the GPU, to see whether refittable engines are slower.

    `python` is the interpreter with TensorRT; None: this one. Returns a list of {"batch": batch size, "previous_ms":
    time of the plain engine, "new_ms": time of the refittable engine, "ratio": new / previous, "graph": whether CUDA
    graphs were used}. Raises SlipwayError if TensorRT cannot run the comparison.
    """
    engines = [str(retraining.folder / f"{name}.trt") for name in ("timing_cache", "refittable")]
    scripts = str(Path(__file__).resolve().parents[1])
    command = [python or sys.executable, "-c", _COMPARE, scripts, *engines]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        raise SlipwayError(f"the two kinds of engine could not be compared on {retraining.target}; see above")
    return json.loads(process.stdout.splitlines()[-1])


if __name__ == "__main__":
    run(main, parse_arguments())
