"""Refuse impossible configurations that the schema accepts, before anything runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from slipway import hardware
from slipway.errors import SlipwayError
from slipway.photographs.class_folders import read_class_folders
from slipway.photographs.image_files import require_images
from slipway.photographs.label_files import read_labels
from slipway.planning import precisions, profiles

if TYPE_CHECKING:
    from slipway.planning.decisions import Decisions


def require_files(config: dict, checkpoints: dict[str, str | None]) -> None:
    """Raise SlipwayError unless every file and folder that a configuration names exists, and is of that type.

    `checkpoints` are those of the models that have one.
    """
    named = {
        "image": config["image"],
        # The private key may be where the workflow signs alone.
        "deploy.signing.public_key": config["deploy"]["signing"]["public_key"],
    }
    named |= {f"deploy.tls.{name}": path for name, path in config["deploy"]["tls"].items()}
    named |= {f"models.{model}.weights": path for model, path in checkpoints.items()}
    named |= {f"models.{model}.labels": chosen["labels"] for model, chosen in config["models"].items()}
    for key, path in named.items():
        if path is not None and not Path(path).is_file():
            problem = "is a folder" if Path(path).is_dir() else "does not exist"
            last = key.rsplit(".", maxsplit=1)[-1]
            raise SlipwayError(f"config: `{key}` is {path!r}, which {problem}; correct `{last}` in config.yaml")
    for section, key in (("accuracy", "labelled"), ("calibration", "images")):
        if config[section][key] is not None:
            _require_images(f"{section}.{key}", config[section][key])
    for model, chosen in config["models"].items():
        if chosen["labels"] is not None:
            has_classes = chosen["output"] != "tensor"
            _require_labels(model, chosen["labels"], config["accuracy"]["labelled"] if has_classes else None)


def require_weights_keys(config: dict, checkpoints: dict[str, str | None]) -> None:
    """Raise SlipwayError if a model without a checkpoint has a `weights_key`."""
    for model, chosen in config["models"].items():
        if chosen["weights_key"] is not None and checkpoints[model] is None:
            raise SlipwayError(
                f"config: `models.{model}.weights_key` is {chosen['weights_key']!r}, but `weights` is "
                f"{chosen['weights']}, which has one set of weights; name your checkpoint there, or leave "
                "`weights_key` out"
            )


def require_precisions(decided: "Decisions") -> None:
    """Raise SlipwayError unless every engine that is asked for can be built on its target's hardware."""
    for target in decided.targets:
        runtime, identity = decided.runtime(target), decided.hardware(target)
        version = decided.runtime_version(runtime, target)
        if decided.runs_tensorrt(target) != hardware.is_gpu(identity):
            needs = "a GPU" if decided.runs_tensorrt(target) else "a CPU"
            raise SlipwayError(
                f"config: `targets.{target}` has the runtime {runtime}, which needs {needs}, but its hardware is "
                f"'{identity}'; a GPU's ends with \"(compute capability 8.9)\""
            )
        for precision in decided.precisions(target):
            reason = precisions.refusal(runtime, version, identity, precision)
            if reason:
                raise SlipwayError(f"config: `targets.{target}.precisions` has {precision}, but {reason}")
            _require_calibration(decided, target, precision)
            _require_profiles(decided, target, precision)


def require_batches(decided: "Decisions") -> None:
    """Raise SlipwayError unless TensorRT's engines take every batch that they are proven and measured with."""
    measured, tested = decided.config["benchmark"]["batch_sizes"], decided.config["load_test"]["max_batch_sizes"]
    asked = {
        "the sample photograph is": [1],
        f"`benchmark.batch_sizes` is {measured}, so there is": measured,
        f"`load_test.max_batch_sizes` is {tested}, so there may be": range(1, tested[-1] + 1),
    }
    engines = [
        (target, precision)
        for target in decided.targets
        if decided.runs_tensorrt(target)
        for precision in decided.precisions(target)
    ]
    for target, precision in engines:
        taken = decided.profiles(target, precision)
        for words, batches in asked.items():
            if missing := profiles.untaken(taken, batches):
                raise SlipwayError(
                    f"config: {words} a batch of {missing[0]}, but the profiles of the {precision} engine for {target} "
                    f"take batches of {profiles.in_words(taken)}; widen `tensorrt.profiles`, or lower what asks for it"
                )


def _require_images(key: str, folder: str) -> None:
    try:
        require_images(folder)
    except SlipwayError as error:
        raise SlipwayError(f"config: `{key}`: {error}") from None


def _require_labels(model: str, labels: str, labelled: str | None) -> None:
    """Raise SlipwayError unless a label file can be read, and folders of labelled photographs match its labels."""
    try:
        read = read_labels(labels)
        if labelled is not None:
            read_class_folders(Path(labelled), read, "file")
    except SlipwayError as error:
        raise SlipwayError(f"config: `models.{model}.labels`: {error}") from None


def _require_calibration(decided: "Decisions", target: str, precision: str) -> None:
    if precision in ("int8", "fp8") and decided.config["calibration"]["images"] is None:
        raise SlipwayError(
            f"config: `targets.{target}.precisions` has {precision}, which needs photographs to take its scales "
            "from; name a folder of them as `calibration.images`"
        )


def _require_profiles(decided: "Decisions", target: str, precision: str) -> None:
    if decided.runs_tensorrt(target) and not decided.profiles(target, precision):
        raise SlipwayError(
            f"config: `tensorrt.profiles` has none for the {precision} engine of the target {target}; leave "
            "`precisions` out of one, or add it there"
        )
