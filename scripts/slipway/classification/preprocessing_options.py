"""The command-line options for a model's input, shared by all programs that make such inputs."""

import argparse
from dataclasses import fields

from slipway.classification.images import INPUT_DTYPES, Preprocessing


def add_preprocessing(arguments: argparse.ArgumentParser, description: str | None = None) -> None:
    """Add the optional --resize, --crop, --mean, --std and --interpolation. `description` explains them in --help."""
    group = arguments.add_argument_group("preprocessing", description)
    group.add_argument("--resize", type=int, help="length of the short side after scaling, in pixels")
    group.add_argument("--crop", type=int, help="side of the square cut from the centre, in pixels")
    group.add_argument("--mean", type=float, nargs=3, help="mean of each RGB channel, of 0..1")
    group.add_argument("--std", type=float, nargs=3, help="standard deviation of each RGB channel")
    group.add_argument("--interpolation", choices=["bilinear", "bicubic"], help="resize filter")


def preprocessing_of(arguments: argparse.Namespace, unstated: dict) -> Preprocessing:
    """Return the preprocessing that a program's options state.

    `unstated` has the values for options that are not given, {key of `preprocess` in config.yaml: value}.
    """
    given = {setting.name: getattr(arguments, setting.name) for setting in fields(Preprocessing)}
    return Preprocessing.of(unstated | {name: value for name, value in given.items() if value is not None})


def add_input(arguments: argparse.ArgumentParser) -> None:
    """Add --input, the element type of the model's input: float32 or uint8."""
    content = "element type of the model's input: normalised float32, or uint8 pixels that it normalises itself"
    arguments.add_argument("--input", choices=INPUT_DTYPES, default="float32", help=content)
