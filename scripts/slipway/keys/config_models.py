"""Find settings of a model that contradict each other. Each contradiction is reported in one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path

from slipway.classification.normalisation import implausible
from slipway.classification.planned_preprocessing import planned_preprocessing
from slipway.classification.published import published
from slipway.core.errors import amended
from slipway.keys.config_schema import schema

# The same as slipway.contract.contract.BATCH, without the imports of that module.
BATCH = "batch"
# The beginnings of the names of torchvision's detectors.
_DETECTION = ("fasterrcnn_", "fcos_", "keypointrcnn_", "maskrcnn_", "retinanet_", "ssd")
# The settings that only a model of photographs has, with the remedy for a model with samples.
_OF_PHOTOGRAPHS = {
    "input": "state `dtype` and `normalisation` in `inputs`",
    "output": "state what each output means in `outputs`",
    "image": "`samples` gives the inputs",
    **{
        f"preprocess.{name}": "`samples` gives arrays as the network takes them"
        for name in ("resize", "crop", "mean", "std", "interpolation")
    },
    "accuracy.labelled": "use `metric`",
    "accuracy.min_top1": "use `metric`",
    "calibration.images": "name its source as `calibration.samples`",
}


def mistakes_of_model(key: str, settings: dict) -> Iterator[str]:
    """Yield a sentence for each contradiction in a model's settings.

    `settings` is the model's entry in config.yaml with the defaults. `key` is the dotted key of this entry, such as
    "models.resnet50", which the sentences name.
    """
    architecture = settings["architecture"]
    if architecture and ":" not in architecture and architecture.startswith(_DETECTION):
        yield (
            f"`{key}.architecture` is {architecture!r}, which selects boxes: each picture has another number of them, "
            "which fits in no batch and no exported graph; let it name a factory whose network returns all boxes and "
            "scores before the selection, and select in the client, as docs/examples/detection does"
        )
    try:
        json.dumps(settings["arguments"], allow_nan=False)
    except (TypeError, ValueError):
        yield (
            f"`{key}.arguments` is {settings['arguments']!r}, but must hold only text, finite numbers, true, false, "
            "null, lists and mappings; put quotes around a text that YAML reads as another type"
        )
    yield from _of_published_weights(key, architecture or "", settings["weights"])
    yield from _of_metric(key, settings["metric"])
    if settings["samples"] is None:
        yield from _of_photographs(key, settings)
        return
    yield from _of_samples(key, settings)
    yield from _of_inputs(key, settings["inputs"] or {})
    yield from _of_axes(key, settings["axes"], settings["inputs"] or {})


def _of_published_weights(key: str, architecture: str, weights: str) -> Iterator[str]:
    """Yield a sentence if `weights` looks like a name of published weights, but torchvision has none of this name."""
    names = [entry.name for entry in published(architecture)]
    if names and weights.isupper() and Path(weights).suffix == "" and weights not in (*names, "DEFAULT"):
        yield (
            f"`{key}.weights` is {weights}, but torchvision has {' and '.join(names)} of {architecture}; write one of "
            "them, default, or the path of your checkpoint"
        )


def _of_metric(key: str, metric: dict | None) -> Iterator[str]:
    """Yield a sentence for each limit of the user's metric whose minimum is above its maximum.

    `metric` is {"function", "limits": {figure: {"min", "max"}}, "targets"}; None if the model has no metric.
    """
    for name, limit in (metric or {}).get("limits", {}).items():
        if None not in limit.values() and limit["min"] > limit["max"]:
            yield (
                f"`{key}.metric.limits.{name}` has min {limit['min']:g} above max {limit['max']:g}, which no value "
                "holds; correct one of them"
            )


def _of_photographs(key: str, settings: dict) -> Iterator[str]:
    """Yield a sentence for each mistake in the settings of a model without `samples`, which takes photographs.

    Mistakes are an architecture for another task, settings that only a model with samples has, and implausible
    preprocessing. `key` and `settings` are those of `mistakes_of_model`.
    """
    if settings["architecture"] in _properties()["architecture"]["anyOf"][-1]["enum"]:  # networks for other tasks
        yield (
            f"`{key}.architecture` is {settings['architecture']}, which is no classifier of photographs; name the "
            "source of its inputs as `samples` (docs/models.md)"
        )
    others = {name: settings[name] for name in ("inputs", "axes", "outputs")}
    others["metric.targets"] = (settings["metric"] or {}).get("targets")
    others["calibration.samples"] = settings["calibration"].get("samples")
    for name, value in others.items():
        if value:
            yield (
                f"`{key}.{name}` is {value}, but the model has no `samples` and so takes photographs; name its inputs' "
                "source as `samples`, or leave it out"
            )
    if settings["output"] == "tensor" and settings["labels"] is not None:
        yield (
            f"`{key}.output` is 'tensor', which are no class scores, but `labels` names classes "
            f"({settings['labels']}); leave one of them out"
        )
    with amended(f"config: `{key}.arguments`: "):
        preprocess = planned_preprocessing(settings)
    resize, crop = preprocess["resize"], preprocess["crop"]
    if resize and crop and resize < crop:
        yield f"`{key}.preprocess.resize` is {resize}, but must be at least the crop, {crop}"
    if preprocess["mean"] and preprocess["std"]:
        reason = implausible(preprocess["mean"], preprocess["std"], f"{key}.preprocess.")
        yield from [reason] if reason else []


def _of_samples(key: str, settings: dict) -> Iterator[str]:
    """Yield a sentence for each setting of a model that contradicts its `samples`, such as settings of photographs.

    A name that is both an input and an output, or both an input and a target of the metric, is an error, too. `key` and
    `settings` are those of `mistakes_of_model`.
    """
    for name, remedy in _OF_PHOTOGRAPHS.items():
        section, _, part = name.partition(".")
        value, described = settings[section], _properties()[section]
        if part:
            value, described = value.get(part), described["properties"][part]
        if value != described.get("default"):
            yield (
                f"`{key}.{name}` is {value!r}, which only a model of photographs has, but `{key}.samples` is set; "
                f"leave one of them out: {remedy}"
            )
    inputs, outputs = settings["inputs"] or {}, settings["outputs"] or {}
    if settings["labels"] is not None and set(outputs.values()) <= {"tensor"}:
        yield (
            f"`{key}.labels` names classes ({settings['labels']}), but no output has class scores; say which, such as "
            "`outputs: {scores: logits}`, or leave `labels` out"
        )
    for name in sorted(inputs.keys() & (settings["metric"] or {}).get("targets", [])):
        yield (
            f"`{key}.metric.targets` has {name}, which is an input in `{key}.inputs`, but only the metric reads "
            "targets; leave one of them out"
        )
    for name in sorted(inputs.keys() & outputs.keys()):
        yield (
            f"`{key}` has {name} as an input and as an output, which no graph can have; give the output another name "
            "in `outputs`"
        )


def _of_inputs(key: str, inputs: dict) -> Iterator[str]:
    shapes = _shapes(inputs)
    for name, shape in shapes.items():
        if BATCH in shape[1:]:
            yield (
                f"`{key}.inputs.{name}.shape` is {shape}, but `batch` must be the first axis, along which requests are "
                "put together; let `architecture` name a factory whose network has it there"
            )
    with_batch = [name for name, shape in shapes.items() if shape[:1] == [BATCH]]
    without = [name for name in shapes if name not in with_batch]
    if with_batch and without:
        yield (
            f"`{key}.inputs.{with_batch[0]}.shape` begins with `batch`, but that of {without[0]} does not; begin the "
            "shape of each input with `batch`, or none"
        )
    for name, entry in inputs.items():
        if entry["normalisation"] is not None:
            yield from _of_normalisation(f"{key}.inputs.{name}", **entry)
        if isinstance(entry["pad"], float) and not entry["pad"].is_integer() and "int" in (entry["dtype"] or ""):
            yield f"`{key}.inputs.{name}.pad` is {entry['pad']}, but must be whole: it is {entry['dtype']}"


def _of_normalisation(
    key: str, normalisation: dict, dtype: str | None, shape: list | None, **_: object
) -> Iterator[str]:
    if dtype not in (None, "uint8"):
        yield (
            f"`{key}.normalisation` is of uint8 pixels, but `dtype` is {dtype}; write uint8, or leave `normalisation` "
            "out"
        )
    means, deviations = len(normalisation["mean"]), len(normalisation["std"])
    if len({means, deviations, *(size for size in (shape or [])[1:2] if isinstance(size, int))}) > 1:
        yield (
            f"`{key}.normalisation` has {means} means and {deviations} deviations, but must have one for each channel, "
            f"the second axis of the shape {shape or 'of the samples'}"
        )


def _of_axes(key: str, axes: dict, inputs: dict) -> Iterator[str]:
    """Yield a sentence for each dynamic axis without sizes, for sizes without an axis, and for sizes in wrong order.

    `axes` is {axis: {"min", "opt", "max"}}. `inputs` is {input: its settings}, of which "shape" names the axes.
    """
    if BATCH in axes:
        yield (
            f"`{key}.axes` has batch, but batch sizes are those of `tensorrt.profiles` and "
            "`load_test.max_batch_sizes`; leave it out"
        )
    for name, sizes in axes.items():
        if not sizes["min"] <= sizes["opt"] <= sizes["max"]:
            yield f"`{key}.axes.{name}` is {sizes}, but must hold min <= opt <= max"
    shapes = _shapes(inputs)
    named = {size: name for name, shape in shapes.items() for size in shape if isinstance(size, str) and size != BATCH}
    for axis, name in named.items():
        if axis not in axes:
            yield (
                f"`{key}.inputs.{name}.shape` has the axis {axis}, but `axes` has {', '.join(axes) or 'none'}; add "
                f"`axes: {{{axis}: {{min: 1, opt: 64, max: 128}}}}` with the sizes that the model shall take, or "
                "correct the name"
            )
    if unused := [axis for axis in axes if axis not in named]:
        yield (
            f"`{key}.axes` has {unused[0]}, which no shape of `inputs` has; name it there, such as "
            f"`inputs: {{x: {{shape: [batch, {unused[0]}]}}}}`, or leave it out"
        )


def _properties() -> dict:
    """Return {setting of a model: its JSON Schema}."""
    return schema()["$defs"]["model"]["properties"]


def _shapes(inputs: dict) -> dict[str, list]:
    """Return {input: shape} of the inputs whose shape config.yaml states. A size is a number or an axis's name."""
    return {name: entry["shape"] for name, entry in inputs.items() if entry["shape"]}
