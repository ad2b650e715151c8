"""Choose the preprocessing of photographs for a served model, from options, server, deployment or ImageNet."""

import argparse
from dataclasses import asdict

from slipway.classification import published
from slipway.classification.images import Preprocessing
from slipway.classification.served_classifier import Classifier
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError

IMAGENET = Preprocessing.of(published.IMAGENET)
# {dtype of an input: settings that change it, beside its side}. A model with uint8 inputs normalises them itself.
_USED = {"float32": ("resize", "mean", "std", "interpolation"), "uint8": ("resize", "interpolation")}


def preprocessing_of(options: argparse.Namespace, classifier: Classifier, proven: dict) -> Preprocessing:
    """Return the preprocessing. Each setting comes from the options, else the server, else `proven`, else ImageNet.

    `proven` has the settings of the model's deployment. If the server states the side of the input, it is the crop.
    Every setting that is guessed from ImageNet's is printed. Raises SlipwayError if the options contradict the server,
    or the resized photograph is smaller than the crop.
    """
    side, default = classifier.side, asdict(IMAGENET)
    if side and options.crop not in (None, side):
        raise SlipwayError(f"{classifier.name} takes {side} x {side} pixels, not --crop {options.crop}; leave it out")
    given = {name: value for name in default if (value := getattr(options, name)) is not None}
    stated = proven | (classifier.preprocess or {}) | given
    settings = {name: stated.get(name, value) for name, value in default.items()}
    if side:
        settings["crop"] = side
    if "resize" not in stated:
        settings["resize"] = round(settings["crop"] * IMAGENET.resize / IMAGENET.crop)
    if settings["resize"] < settings["crop"]:
        raise SlipwayError(f"--resize {settings['resize']} is below the input's side of {settings['crop']} pixels")
    guessed = [name for name in settings if name not in stated and name in _USED[classifier.dtype]]
    if guessed:
        shown = ", ".join(f"{name} {settings[name]}" for name in guessed)
        progress(
            f"the server does not state how {classifier.name} wants photographs preprocessed, so ImageNet's way is "
            f"assumed: {shown}; --{', --'.join(guessed)} change that"
        )
    return Preprocessing(**settings)
