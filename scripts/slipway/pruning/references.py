"""The owner of an artifact (a model, target, precision or ONNX variant), and whether a configuration refers to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.receipts import read_receipt

# The folders in a model's results that belong to no target.
OF_MODEL = ("deploy", "profile", "program")
# The files with a model's weights: for a model with an architecture, and for a program.
WEIGHTS, PROGRAM = ("weights.safetensors",), ("program", "program.data")
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int8-fp16", "int8-onnxruntime", "fp8")
# Records of measurements: without the measured hardware, these records cannot be made again.
MEASUREMENTS = ("report.html", "run.json", "accuracy.json", "benchmark.json", "profile.json")


# What `snakemake prune --config prune=...` removes; Snakemake may read yes and no as true and false.
WHAT = {"no": "no", "false": "no", "yes": "yes", "true": "yes", "all": "all"}


def what_to_prune(said: object) -> str:
    """Return "no", "yes" or "all" for `said`, the value of `--config prune=...` as text or bool.

    Raises SlipwayError for any other value.
    """
    if (what := WHAT.get(str(said).lower())) is None:
        raise SlipwayError(
            f"--config prune={said}: it must be yes (remove what is shown), all (records of measurements, too) or no; "
            "nothing was removed"
        )
    return what


@dataclass(frozen=True)
class References:
    """The names in config.yaml to which files in results/ may belong.

    `models` and `targets` are its models and its kinds of GPU or CPU. `engines` are "<model>/<target>/<precision>".
    `variants` are its ONNX files, such as "resnet50/int8". `weights` are the values of `weights`; some are addresses of
    storage. `programs` are the models without an architecture, such as ONNX files.
    """

    models: frozenset[str]
    targets: frozenset[str]
    engines: frozenset[str]
    variants: frozenset[str]
    weights: frozenset[str]
    programs: frozenset[str]

    def is_lost(self, folder: str) -> bool:
        """Say whether a folder in results/<model>/, given by its name, belongs to a target that config.yaml lacks."""
        return "." not in folder and folder not in OF_MODEL and folder not in self.targets

    def unreferenced(self, artifact: str) -> str | None:
        """Return which part of config.yaml a file belonged to, if config.yaml does not have this part any more.

        `artifact` is the path of the file, results/<model>/... The result is in words, such as "the target l4 of
        resnet50". Return None if the file still belongs to the configuration, or to no single model.
        """
        if artifact.count("/") < 2:  # an artifact of all models, such as results/index.html
            return None
        _, model, *folders, file = artifact.split("/")
        if model.startswith("."):  # a folder of the server, or of all models
            return None
        if model not in self.models:
            return f"the model {model}"
        target = folders[0] if folders and folders[0] not in OF_MODEL else None
        if target and target not in self.targets:
            return f"the target {target} of {model}"
        if not folders and file in (WEIGHTS if model in self.programs else PROGRAM):
            return f"the former {'weights' if model in self.programs else 'program'} of {model}"
        kind = file.removeprefix(f"{model}.").partition(".")[0]
        if kind not in PRECISIONS or not file.startswith(f"{model}."):
            return None
        if target is None:
            return None if f"{model}/{kind}" in self.variants else f"the {kind} ONNX file of {model}"
        return None if f"{model}/{target}/{kind}" in self.engines else f"the {kind} engine of {model} on {target}"


def live_targets(results: Path) -> dict[str, set[str]]:
    """Return {deployed model: its targets on all platforms}, from the records of deployments below `results`.

    A target is a kind of GPU or CPU. If a record is damaged, the names of all folders of the model count as targets.
    """
    live: dict[str, set[str]] = {}
    for traits in PLATFORMS.values():
        for path in results.glob(f"*/deploy/{traits.receipt}"):
            receipt, folder = read_receipt(path), path.parents[1]
            targets = receipt["targets"] if receipt else [entry.name for entry in folder.iterdir()]
            live.setdefault(folder.name, set()).update(targets)
    return live


@dataclass(frozen=True)
class OtherConfiguration:
    """Another configuration in the same folder, whose files in results/ must stay.

    `models`, `targets` and `weights` are the values in `file`: its models, its kinds of GPU or CPU, and the checkpoints
    of its models. If `targets` is None, it may have any target.
    """

    file: Path
    models: set[str]
    targets: set[str] | None
    weights: set[str]

    def names_target(self, target: str) -> bool:
        """Return whether the configuration may have a target of this name."""
        return self.targets is None or target in self.targets


def other_configurations(folder: Path, own: set[Path]) -> Iterator[OtherConfiguration]:
    """Yield each configuration file in a folder or in its direct subfolders, except the files in `own`."""
    for path in sorted([*folder.glob("*.y*ml"), *folder.glob("[!.]*/*.y*ml")]):
        if path.resolve() in own or path.is_relative_to(folder / "results"):
            continue
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        models = content.get("models") if isinstance(content, dict) else None
        if isinstance(models, dict):
            targets = content.get("targets")
            weights = {
                str(model["weights"]) for model in models.values() if isinstance(model, dict) and "weights" in model
            }
            named = set(map(str, targets)) if isinstance(targets, dict) else None
            yield OtherConfiguration(path, set(map(str, models)), named, weights)


def is_measurement(artifact: str) -> bool:
    """Say whether an artifact, a path below results/, is a record of a measurement."""
    return artifact.endswith(MEASUREMENTS) or "/analysis" in artifact
