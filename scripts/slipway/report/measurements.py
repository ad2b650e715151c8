"""Read the records of one model, the JSON files that the steps of the workflow wrote. Their hashes must match."""

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from slipway.benchmark.comparison import baseline_of, best_quantity
from slipway.classification.reporting import preprocessing_in_words, values_in_words
from slipway.contract.contract import Contract
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.core.readable import readable
from slipway.history import file as history_file
from slipway.history.file import History
from slipway.history.lines import DEPLOYED, ROLLED_BACK, Run
from slipway.outputs.presentation import prefixed, sentences_of
from slipway.outputs.wording import GENERAL, Words, words_of
from slipway.report.formats import counted, moment

# {change of the live version: the words before its time}
CHANGES = {DEPLOYED: "deployed:", ROLLED_BACK: "rolled back to this:"}


@dataclass(frozen=True)
class Engine:
    """One engine. `build` is the record of build_engine.py, `accuracy` the record of check_accuracy.py."""

    precision: str
    build: dict
    accuracy: dict

    def metric_limit(self, name: str) -> str | None:
        """Return the limits of the value `name` of the user's metric, such as "min 0.9"; None without limits."""
        limit = self.accuracy["key"].get("metric_limits", {}).get(name)
        return ", ".join(f"{end} {readable(value, 6)}" for end, value in limit.items()) if limit else None


@dataclass(frozen=True)
class Target:
    """The records of a model on one target, a kind of GPU or CPU that config.yaml names.

    `benchmark` and `load_test` are the records of benchmark.py and load_test.py. `selection` is selection.json, the
    choice of the configuration to serve, and `selection_sha256` the hash of this file.
    """

    name: str
    engines: list[Engine]
    benchmark: dict
    load_test: dict
    selection: dict
    selection_sha256: str

    @property
    def chosen(self) -> Engine:
        """Return the engine that selection.json chose, which is served after a deployment."""
        return next(engine for engine in self.engines if engine.precision == self.selection["precision"])

    @property
    def baseline(self) -> str:
        """Return the baseline of the benchmark: "pytorch" or "onnxruntime"."""
        return baseline_of({result["subject"] for result in self.benchmark["results"]})

    @property
    def smallest_batch(self) -> int:
        """Return the smallest batch size of the benchmark, at which the page compares latencies."""
        return min(result["batch"] for result in self.benchmark["results"])

    @property
    def latency_ratio(self) -> dict:
        """Return {"median", "low", "high", "verdict"} of the ratio: latency of the chosen engine / of the baseline."""
        compared = self.benchmark["ratios"][self.chosen.precision][str(self.smallest_batch)][self.baseline]
        latencies = compared["intervals"]["p50"]
        return latencies[best_quantity(latencies)]


@dataclass(frozen=True)
class Measurements:
    """All records of one model that the report page shows.

    The records, as read from their JSON files: `weights` of the checkpoint, `reference` of PyTorch's answers, `profile`
    of the time in PyTorch's operators, `onnx` {precision: record of its ONNX file}, `accuracy` of the checkpoint
    itself. `accuracy` is None if the checkpoint was not evaluated, `profile` if PyTorch does not run the model. The
    records lie in `folder`, results/<model>.
    """

    model: str
    weights: dict
    contract: Contract
    reference: dict
    profile: dict | None
    onnx: dict[str, dict]
    targets: list[Target]
    accuracy: dict | None
    folder: Path

    @cached_property
    def history(self) -> History:
        """Return the history of the model: its measured runs and its deployments, as its file has them now."""
        return history_file.read(self.folder / history_file.NAME)

    @cached_property
    def value_names(self) -> list[str]:
        """Return the names of the values of an output, from labels.txt; [] without names."""
        path = self.folder / "labels.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @cached_property
    def samples(self) -> ReferenceOutputs | None:
        """Return the reference samples with PyTorch's answers; None if the file is missing."""
        path = self.folder / "reference_outputs.npz"
        return ReferenceOutputs.read(path) if path.exists() else None

    @property
    def measured_at(self) -> str | None:
        """Return the time of the latest load test, such as 2026-01-31T12:00:00+00:00; None if no record has a time."""
        return max(filter(None, (target.load_test.get("measured_at") for target in self.targets)), default=None)

    @property
    def warnings(self) -> list[str]:
        """Return the warnings about PyTorch's own accuracy; [] without warnings."""
        return (self.accuracy or {}).get("warnings", [])

    @property
    def words(self) -> Words:
        """Return the words for the model's samples on the page: those of its task or, without a task, general words."""
        return words_of(self.contract)

    @property
    def is_classifier(self) -> bool:
        """Return whether the model has the classification task. Its page has other words, and shows samples."""
        return self.words != GENERAL

    @property
    def tensors_in_words(self) -> str:
        """Return the number of inputs and outputs in words, such as "1 input, 2 outputs".

        For the classification task, return the number of the output's values.
        """
        inputs, outputs = self.contract.inputs, self.contract.outputs
        if self.is_classifier:
            return values_in_words(outputs[0])
        return f"{counted(len(inputs), 'input')}, {counted(len(outputs), 'output')}"

    @property
    def preprocessing(self) -> str | None:
        """Return in words how a sample becomes the input; None if the contract does not state it."""
        preprocess = self.contract.facts.get("preprocess") or self.reference.get("preprocess")
        return preprocessing_in_words(preprocess) if self.is_classifier and preprocess else None

    def changes_of(self, run: Run) -> list[str]:
        """Return a line of text for each deployment of a run's chosen configuration, and for each rollback to it.

        A line is "deployed:" or "rolled back to this:", and the time.
        """
        return [f"{CHANGES[change.action]} {moment(change.when)}" for change in self.history.deployments_of(run)]

    @property
    def answer_in_words(self) -> str:
        """Return PyTorch's answer to the first sample in words."""
        return "; ".join(sentences_of(self.reference["outputs"], 3))

    @property
    def explanations(self) -> list[str]:
        """Return sentences about the meanings of the outputs. Each has the reason why the meaning is known.

        A meaning says what an output's values are, such as scores. It decides how the outputs are compared.
        """
        meanings = {
            tensor.name: [f"Its outputs are {tensor.meaning.in_words}: {tensor.meaning.reason}"]
            for tensor in self.contract.outputs
            if tensor.meaning and tensor.meaning.reason and (self.is_classifier or tensor.meaning.has_classes)
        }
        return prefixed(meanings)

    @property
    def is_rehearsal(self) -> bool:
        """Return whether the model is a rehearsal: its weights are random, so its accuracy means nothing."""
        return self.weights["origin"] == "rehearsal"


def add_measurements(arguments: argparse.ArgumentParser) -> None:
    """Add the options --folder, --engines and --evaluated, which say where the records of a model are."""
    arguments.add_argument("--folder", type=Path, required=True, help="results/<model>, which has the records")
    arguments.add_argument("--engines", nargs="+", required=True, help="measured engines, as TARGET/PRECISION")
    content, optional = "whether the checkpoint was evaluated (accuracy.json)", argparse.BooleanOptionalAction
    arguments.add_argument("--evaluated", action=optional, default=False, help=content)


def read_measurements(folder: Path, engines: list[str], variants: list[str], evaluated: bool = False) -> Measurements:
    """Return the records in `folder`, results/<model>/, for engines such as "l4/fp16" (target/precision).

    `variants` are the precisions of ONNX files, such as "fp32". `evaluated` says whether the checkpoint itself was
    evaluated. Raises SlipwayError if a record is missing, or belongs to another checkpoint, engine or load test than
    the other records.
    """
    precisions: dict[str, list[str]] = {}
    for target, _, precision in (engine.partition("/") for engine in engines):
        precisions.setdefault(target, []).append(precision)
    names = {variant: folder.name if variant == "fp32" else f"{folder.name}.{variant}" for variant in variants}
    weights = read_json(folder / "weights.json")
    measurements = Measurements(
        model=folder.name,
        weights=weights,
        contract=Contract.read(folder / "contract.json"),
        reference=read_json(folder / "reference_outputs.json"),
        profile=None if weights["program"] == "onnx_file" else read_json(folder / "profile" / "profile.json"),
        onnx={variant: read_json(folder / f"{name}.onnx.json") for variant, name in names.items()},
        targets=[_read_target(folder / target, folder.name, of_target) for target, of_target in precisions.items()],
        accuracy=read_json(folder / "accuracy.json") if evaluated else None,
        folder=folder,
    )
    _require_one_checkpoint(measurements)
    return measurements


def _require_one_checkpoint(measurements: Measurements) -> None:
    """Raise SlipwayError if a record belongs to another checkpoint than the weights, as after a failed run.

    A record that names no checkpoint is refused, too.
    """
    records = {"answers are": measurements.reference}
    if measurements.accuracy:
        records["accuracy in PyTorch is"] = measurements.accuracy
    records |= {f"{variant} ONNX file is": record for variant, record in measurements.onnx.items()}
    for target in measurements.targets:
        records |= {f"{engine.precision} engine on {target.name} is": engine.build for engine in target.engines}
    for name, record in records.items():
        is_same = record.get("weights_sha256") == measurements.weights["sha256"]
        _require(is_same, measurements.folder, f"the {name} of another checkpoint")


def _read_target(folder: Path, model: str, precisions: list[str]) -> Target:
    load_test = folder / "analysis" / "analysis.json"
    benchmark, selection = (read_json(folder / name) for name in (f"{model}.benchmark.json", "selection.json"))
    engines = []
    for precision in precisions:
        build, accuracy = (read_json(folder / f"{model}.{precision}.{kind}.json") for kind in ("engine", "accuracy"))
        _require(build["key"] == accuracy["engine_key"], folder, f"the accuracy is of another {precision} engine")
        measured = benchmark["engines"].get(precision)
        _require(build["key"] == measured, folder, f"the benchmark is of another {precision} engine")
        engines.append(Engine(precision, build, accuracy))
    tested = selection["chosen_from"]["load_test_sha256"]
    _require(tested == sha256(load_test), folder, "the choice is from another load test")
    return Target(folder.name, engines, benchmark, read_json(load_test), selection, sha256(folder / "selection.json"))


def _require(holds: bool, folder: Path, otherwise: str) -> None:
    if not holds:
        raise SlipwayError(
            f"the records in {folder} do not belong together: {otherwise}; run `snakemake --cores 1 evidence` again"
        )
