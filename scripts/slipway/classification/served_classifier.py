"""A classifier on a Triton server: its tensors, dtypes and largest batch, and the preprocessing of its input."""

import argparse
import json
from dataclasses import asdict, dataclass

from tritonclient.grpc import model_config_pb2, service_pb2

from slipway.classification import published
from slipway.classification.images import Preprocessing
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.core.records import has_shape
from slipway.outputs.meaning import Meaning
from slipway.triton.repository.model_config import PREPROCESS

# {data type of an input in the inference protocol: its name in NumPy}
INPUT_DTYPES = {"FP32": "float32", "UINT8": "uint8"}
_NUMBER = (int, float)
_PREPROCESS = {"resize": int, "crop": int, "mean": [_NUMBER], "std": [_NUMBER], "interpolation": str}
OUTPUT_TYPES = ("FP16", "BF16", "FP32", "FP64")
_OWN_CLIENT = "it needs a client of its own"
IMAGENET = Preprocessing.of(published.IMAGENET)
# {dtype of an input: settings that change it, beside its side}. A model with uint8 inputs normalises them itself.
_USED = {"float32": ("resize", "mean", "std", "interpolation"), "uint8": ("resize", "interpolation")}


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A classifier on a server: the input `input` (N, 3, side, side) of `dtype`, and the output `output` (N, classes).

    `side`, `classes` and `max_batch` are None if the server does not fix these values. A model that is not `batched`
    takes inputs (3, side, side). If `version` is "", the server chooses the version. With `has_labels`, the server has
    names of the classes. `meaning` describes the scores. `preprocess` has the fields of `images.Preprocessing` as a
    dict. `meaning` and `preprocess` are None unless the model's parameters state them.
    """

    name: str
    version: str
    input: str
    dtype: str
    side: int | None
    batched: bool
    max_batch: int | None
    output: str
    classes: int | None
    has_labels: bool
    meaning: Meaning | None = None
    preprocess: dict | None = None


def classifier_of(
    metadata: service_pb2.ModelMetadataResponse,
    config: model_config_pb2.ModelConfig,
    version: str = "",
    output: str | None = None,
) -> Classifier:
    """Return the classifier that a model's metadata and configuration on the server describe.

    If `version` is "", the server chooses the version. `output` names the output with the scores; it may be None if the
    model has one output. Raises SlipwayError if this client does not support the inputs or outputs.
    """
    pictures, scores = _input_of(metadata), _output_of(metadata, output)
    batched = len(pictures.shape) == 4
    fixed_batch = pictures.shape[0] if batched else 1
    if fixed_batch > 1 and not config.max_batch_size:
        raise SlipwayError(f"{metadata.name} takes batches of exactly {fixed_batch} pictures: {_OWN_CLIENT}")
    # (N, classes) or (N, classes, 1, 1)
    sizes = [size for size in scores.shape[1 if batched else 0 :] if size != 1] or [1]
    if len(sizes) > 1:
        raise SlipwayError(
            f"{metadata.name} answers with {scores.name} of shape {list(scores.shape)}, which is not one score a "
            f"class: {_OWN_CLIENT}"
        )
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    return Classifier(
        name=metadata.name,
        version=version,
        input=pictures.name,
        dtype=INPUT_DTYPES[pictures.datatype],
        side=_known(pictures.shape[-1]),
        batched=batched,
        max_batch=_known((batched and config.max_batch_size) or fixed_batch),
        output=scores.name,
        classes=_known(sizes[0]),
        has_labels=any(entry.label_filename for entry in config.output if entry.name == scores.name),
        meaning=Meaning.of_parameters(parameters),
        preprocess=_preprocess_of(parameters),
    )


def _preprocess_of(parameters: dict[str, str]) -> dict | None:
    """Return {key: value} of `preprocess` in a model's parameters; None if they have no such settings from Slipway."""
    try:
        stated = json.loads(parameters.get(PREPROCESS, ""))
    except ValueError:
        return None
    is_known = has_shape(stated, _PREPROCESS) and stated["interpolation"] in ("bilinear", "bicubic")
    return stated if is_known and len(stated["mean"]) == len(stated["std"]) == 3 else None


def preprocessing_of(options: argparse.Namespace, classifier: Classifier, proven: dict) -> Preprocessing:
    """Return the preprocessing of a served classifier's input. Each setting comes from the first source that has it.

    The sources are, in this order: `options` (None if not given), the server, `proven` (the settings {key: value} of
    the model's deployment; {} if unknown), ImageNet. The crop is the input's side if the server states a side. Settings
    from ImageNet are printed. Raises SlipwayError if the options contradict the server, or if the resized photograph is
    smaller than the crop.
    """
    side, default = classifier.side, asdict(IMAGENET)
    if side and options.crop not in (None, side):
        raise SlipwayError(f"{classifier.name} takes {side} x {side} pixels, not --crop {options.crop}; leave it out")
    given = {name: value for name in default if (value := getattr(options, name)) is not None}
    stated = proven | (classifier.preprocess or {}) | given
    settings = {name: stated.get(name, value) for name, value in default.items()}
    settings["crop"] = side or settings["crop"]
    if "resize" not in stated:
        settings["resize"] = round(settings["crop"] * IMAGENET.resize / IMAGENET.crop)
    if settings["resize"] < settings["crop"]:
        raise SlipwayError(
            f"--resize {settings['resize']} is too low: the input has {settings['crop']} x {settings['crop']} pixels; "
            f"give at least {settings['crop']}"
        )
    if guessed := [name for name in settings if name not in stated and name in _USED[classifier.dtype]]:
        assumed = ", ".join(f"{name} {settings[name]}" for name in guessed)
        progress(
            f"the server does not state the preprocessing of {classifier.name}, so ImageNet's is assumed: {assumed}; "
            f"other values: --{', --'.join(guessed)}"
        )
    return Preprocessing(**settings)


def _input_of(metadata: service_pb2.ModelMetadataResponse) -> service_pb2.ModelMetadataResponse.TensorMetadata:
    if len(metadata.inputs) != 1:
        names = ", ".join(tensor.name for tensor in metadata.inputs)
        raise SlipwayError(
            f"{metadata.name} has {len(metadata.inputs)} inputs ({names}), but pictures fill one: {_OWN_CLIENT}"
        )
    (tensor,) = metadata.inputs
    if tensor.datatype not in INPUT_DTYPES:
        raise SlipwayError(
            f"{metadata.name} takes {tensor.datatype}, but pictures are sent as UINT8 pixels or normalised FP32: "
            f"{_OWN_CLIENT}"
        )
    shape = list(tensor.shape)
    if len(shape) not in (3, 4) or shape[-3] not in (3, -1) or shape[-2] != shape[-1]:
        raise SlipwayError(
            f"{metadata.name} takes an input of shape {shape}, but pictures are sent as [N, 3, side, side] or "
            f"[3, side, side]: {_OWN_CLIENT}"
        )
    return tensor


def _output_of(
    metadata: service_pb2.ModelMetadataResponse, name: str | None
) -> service_pb2.ModelMetadataResponse.TensorMetadata:
    outputs = {tensor.name: tensor for tensor in metadata.outputs}
    if name is None and len(outputs) == 1:
        (name,) = outputs
    if name not in outputs:
        problem = f"no output {name}" if name else "several outputs"
        raise SlipwayError(f"{metadata.name} has {problem}; name the scores with --output: {', '.join(outputs)}")
    if outputs[name].datatype not in OUTPUT_TYPES:
        raise SlipwayError(
            f"{metadata.name} answers with {outputs[name].datatype} in {name}, but scores of classes are "
            f"{' or '.join(OUTPUT_TYPES)}: {_OWN_CLIENT}"
        )
    return outputs[name]


def _known(size: int) -> int | None:
    return size if size > 0 else None
