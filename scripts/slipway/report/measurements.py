"""Read the measurements of one model from its records, whose hashes must match."""

from dataclasses import dataclass
from pathlib import Path

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning
from slipway.outputs.showing import sentence_of


@dataclass(frozen=True)
class Engine:
    """One engine: its build record, and its agreement with PyTorch."""

    precision: str
    build: dict
    accuracy: dict


@dataclass(frozen=True)
class Target:
    """The measurements of a model on one kind of hardware, and the configuration chosen from them."""

    name: str
    engines: list[Engine]
    benchmark: dict
    load_test: dict
    selection: dict
    chart: Path

    @property
    def chosen(self) -> Engine:
        """Return the engine that is served."""
        return next(engine for engine in self.engines if engine.precision == self.selection["precision"])


@dataclass(frozen=True)
class Measurements:
    """All measurements of a model."""

    model: str
    weights: dict
    golden: dict
    profile: dict
    onnx: dict[str, dict]
    targets: list[Target]
    accuracy: dict | None

    @property
    def warnings(self) -> list[str]:
        """Return the warnings about PyTorch's own accuracy on labelled photographs."""
        return self.accuracy["warnings"] if self.accuracy else []

    @property
    def meaning(self) -> Meaning:
        """Return the meaning of the model's outputs."""
        return Meaning.of(self.golden.get("output"))

    @property
    def values_in_words(self) -> str:
        """Return the number of output values in words; they are not always classes."""
        count = self.weights["classes"]
        if count == 1:
            return "one output"
        return f"{count} classes" if self.meaning.has_classes else f"{count} output values"

    @property
    def answer_in_words(self) -> str:
        """Return PyTorch's answer to the sample photograph in words."""
        return sentence_of(self.golden, 3)

    @property
    def is_rehearsal(self) -> bool:
        """Return whether the model's weights are random."""
        return self.weights["origin"] == "rehearsal"


def read_evidence(folder: Path, engines: list[str], variants: list[str], labelled: bool = False) -> Measurements:
    """Return the measurements in results/<model>/ of its engines, such as "l4/fp16", and ONNX variants.

    `labelled` says whether the checkpoint was evaluated on labelled photographs. Raises SlipwayError if a record is
    missing, or belongs to another engine or load test than the records beside it.
    """
    model = folder.name
    precisions: dict[str, list[str]] = {}
    for target, _, precision in (engine.partition("/") for engine in engines):
        precisions.setdefault(target, []).append(precision)
    suffixes = {variant: "" if variant == "fp32" else f".{variant}" for variant in variants}
    evidence = Measurements(
        model=model,
        weights=read_json(folder / "weights.json"),
        golden=read_json(folder / "golden.json"),
        profile=read_json(folder / "profile" / "profile.json"),
        onnx={variant: read_json(folder / f"{model}{suffix}.onnx.json") for variant, suffix in suffixes.items()},
        targets=[_read_target(folder / target, model, names) for target, names in precisions.items()],
        accuracy=read_json(folder / "accuracy.json") if labelled else None,
    )
    same = not labelled or evidence.accuracy["weights_sha256"] == evidence.weights["sha256"]
    _require(same, folder, "the accuracy of the checkpoint is that of another one")
    return evidence


def _read_target(folder: Path, model: str, precisions: list[str]) -> Target:
    """Return the measurements in results/<model>/<target>/."""
    target = Target(
        name=folder.name,
        engines=[_read_engine(folder, model, precision) for precision in precisions],
        benchmark=read_json(folder / f"{model}.benchmark.json"),
        load_test=read_json(folder / "analysis" / "analysis.json"),
        selection=read_json(folder / "selection.json"),
        chart=folder / "analysis" / "throughput_latency.png",
    )
    for engine in target.engines:
        same = engine.build["key"] == target.benchmark["engines"].get(engine.precision)
        _require(same, folder, f"the benchmark is of another {engine.precision} engine")
    tested = target.selection["chosen_from"]["load_test_sha256"]
    _require(tested == sha256(folder / "analysis" / "analysis.json"), folder, "the choice is from another load test")
    return target


def _read_engine(folder: Path, model: str, precision: str) -> Engine:
    build, accuracy = (read_json(folder / f"{model}.{precision}.{kind}.json") for kind in ("engine", "accuracy"))
    _require(build["key"] == accuracy["engine_key"], folder, f"the accuracy is of another {precision} engine")
    return Engine(precision, build, accuracy)


def _require(holds: bool, folder: Path, otherwise: str) -> None:
    if not holds:
        raise SlipwayError(f"the records in {folder} do not belong together: {otherwise}; run snakemake evidence again")
