"""Refuse settings of a model that contradict each other. Each mistake is one sentence."""

import json

from slipway.classification.normalisation import implausible
from slipway.core.errors import SlipwayError
from slipway.keys.config_schema import schema

# Without the imports of slipway.contract.contract, which has the same name.
BATCH = "batch"
# How the names of torchvision's detectors begin.
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


def check_model(key: str, settings: dict) -> None:
    """Raise SlipwayError if the settings of a model, of which `key` is the place, contradict each other."""
    _check_architecture(key, settings["architecture"])
    _check_arguments(key, settings)
    if settings["samples"] is None:
        _check_photographs(key, settings)
        return
    _check_only_samples(key, settings)
    _check_inputs(key, settings)
    _check_axes(key, settings)
    if both := sorted(set(settings["inputs"] or {}) & set((settings["metric"] or {}).get("targets", []))):
        raise SlipwayError(
            f"config: `{key}.metric.targets` has {both[0]}, which is an input in `{key}.inputs`, but only the metric "
            "reads targets; leave one of them out"
        )
    if both := sorted(set(settings["inputs"] or {}) & set(settings["outputs"] or {})):
        raise SlipwayError(
            f"config: `{key}` has {both[0]} as an input and as an output, which no graph can have; give the output "
            "another name in `outputs`"
        )


def _check_architecture(key: str, architecture: str) -> None:
    """Refuse torchvision's detectors."""
    if ":" not in architecture and architecture.startswith(_DETECTION):
        raise SlipwayError(
            f"config: `{key}.architecture` is {architecture!r}, which selects boxes: each picture has another number "
            "of them, which fits in no batch and no exported graph; let it name a factory whose network returns all "
            "boxes and scores before the selection, and select in the client, as docs/examples/detection does"
        )


def _check_arguments(key: str, settings: dict) -> None:
    """Refuse arguments that JSON cannot hold, such as a text that YAML reads as a date."""
    try:
        json.dumps(settings["arguments"], allow_nan=False)
    except (TypeError, ValueError):
        raise SlipwayError(
            f"config: `{key}.arguments` is {settings['arguments']!r}, but must hold only text, finite numbers, true, "
            "false, null, lists and mappings; put quotes around a text that YAML reads as another type"
        ) from None


def _check_photographs(key: str, settings: dict) -> None:
    """Refuse what only a model with samples has, classes of a tensor, and an implausible preprocessing."""
    if settings["architecture"] in _properties()["architecture"]["anyOf"][-1]["enum"]:  # networks for other tasks
        raise SlipwayError(
            f"config: `{key}.architecture` is {settings['architecture']}, which is no classifier of photographs; name "
            "the source of its inputs as `samples` (docs/models.md)"
        )
    others = {name: settings[name] for name in ("inputs", "axes", "outputs")}
    others["metric.targets"] = (settings["metric"] or {}).get("targets")
    others["calibration.samples"] = settings["calibration"].get("samples")
    for name, value in others.items():
        if value:
            raise SlipwayError(
                f"config: `{key}.{name}` is {value}, but the model has no `samples` and so takes photographs; name "
                "its inputs' source as `samples`, or leave it out"
            )
    if settings["output"] == "tensor" and settings["labels"] is not None:
        raise SlipwayError(
            f"config: `{key}.output` is 'tensor', which are no class scores, but `labels` names classes "
            f"({settings['labels']}); leave one of them out"
        )
    preprocess = settings["preprocess"]
    resize, crop = preprocess["resize"], preprocess["crop"]
    if resize < crop:
        raise SlipwayError(f"config: `{key}.preprocess.resize` is {resize}, but must be at least the crop, {crop}")
    if reason := implausible(preprocess["mean"], preprocess["std"], f"{key}.preprocess."):
        raise SlipwayError(f"config: {reason}")


def _check_only_samples(key: str, settings: dict) -> None:
    """Refuse the settings of photographs in a model with samples."""
    for name, remedy in _OF_PHOTOGRAPHS.items():
        section, _, part = name.partition(".")
        value, described = settings[section], _properties()[section]
        if part:
            value, described = value.get(part), described["properties"][part]
        if value != described.get("default"):
            raise SlipwayError(
                f"config: `{key}.{name}` is {value!r}, which only a model of photographs has, but `{key}.samples` is "
                f"set; leave one of them out: {remedy}"
            )
    meanings = (settings["outputs"] or {}).values()
    if settings["labels"] is not None and not [meaning for meaning in meanings if meaning != "tensor"]:
        raise SlipwayError(
            f"config: `{key}.labels` names classes ({settings['labels']}), but no output has class scores; say which, "
            "such as `outputs: {scores: logits}`, or leave `labels` out"
        )


def _check_inputs(key: str, settings: dict) -> None:
    shapes = _shapes(settings)
    for name, shape in shapes.items():
        if BATCH in shape[1:]:
            raise SlipwayError(
                f"config: `{key}.inputs.{name}.shape` is {shape}, but `batch` must be the first axis, along which "
                "requests are put together; let `architecture` name a factory whose network has it there"
            )
    with_batch = [name for name, shape in shapes.items() if shape[:1] == [BATCH]]
    without = [name for name in shapes if name not in with_batch]
    if with_batch and without:
        raise SlipwayError(
            f"config: `{key}.inputs.{with_batch[0]}.shape` begins with `batch`, but that of {without[0]} does not; "
            "begin the shape of each input with `batch`, or none"
        )
    for name, entry in (settings["inputs"] or {}).items():
        _check_normalisation(f"{key}.inputs.{name}", entry)
        if isinstance(entry["pad"], float) and not entry["pad"].is_integer() and "int" in (entry["dtype"] or ""):
            raise SlipwayError(
                f"config: `{key}.inputs.{name}.pad` is {entry['pad']}, but must be whole: it is {entry['dtype']}"
            )


def _check_normalisation(key: str, entry: dict) -> None:
    normalisation, shape = entry["normalisation"], entry["shape"] or []
    if normalisation is None:
        return
    if entry["dtype"] not in (None, "uint8"):
        raise SlipwayError(
            f"config: `{key}.normalisation` is of uint8 pixels, but `dtype` is {entry['dtype']}; write uint8, or leave "
            "`normalisation` out"
        )
    counts = {len(normalisation["mean"]), len(normalisation["std"])}
    counts |= {size for size in shape[1:2] if isinstance(size, int)}
    if len(counts) > 1:
        raise SlipwayError(
            f"config: `{key}.normalisation` has {len(normalisation['mean'])} means and {len(normalisation['std'])} "
            f"deviations, but must have one for each channel, the second axis of the shape {shape or 'of the samples'}"
        )


def _check_axes(key: str, settings: dict) -> None:
    """Refuse axes without sizes, sizes without axes, and sizes in the wrong order."""
    axes, shapes = settings["axes"], _shapes(settings)
    if BATCH in axes:
        raise SlipwayError(
            f"config: `{key}.axes` has batch, but batch sizes are those of `tensorrt.profiles` and "
            "`load_test.max_batch_sizes`; leave it out"
        )
    for name, sizes in axes.items():
        if not sizes["min"] <= sizes["opt"] <= sizes["max"]:
            raise SlipwayError(f"config: `{key}.axes.{name}` is {sizes}, but must hold min <= opt <= max")
    named = {size: name for name, shape in shapes.items() for size in shape if isinstance(size, str) and size != BATCH}
    for axis, name in named.items():
        if axis not in axes:
            raise SlipwayError(
                f"config: `{key}.inputs.{name}.shape` has the axis {axis}, but `axes` has {', '.join(axes) or 'none'}; "
                f"add `axes: {{{axis}: {{min: 1, opt: 64, max: 128}}}}` with the sizes that the model shall take, or "
                "correct the name"
            )
    if unused := [axis for axis in axes if axis not in named]:
        raise SlipwayError(
            f"config: `{key}.axes` has {unused[0]}, which no shape of `inputs` has; name it there, such as "
            f"`inputs: {{x: {{shape: [batch, {unused[0]}]}}}}`, or leave it out"
        )


def _properties() -> dict:
    """Return the schema of a model's settings."""
    return schema()["$defs"]["model"]["properties"]


def _shapes(settings: dict) -> dict[str, list]:
    """Return {name: shape} of the inputs with a stated shape."""
    return {name: entry["shape"] for name, entry in (settings["inputs"] or {}).items() if entry["shape"]}
