"""The command-line options that describe the preprocessing, shared by the programs that read photographs."""

import argparse

from slipway.images import Preprocessing


def add_preprocessing(arguments: argparse.ArgumentParser) -> None:
    """Add --resize, --crop, --mean, --std and --interpolation."""
    group = arguments.add_argument_group("preprocessing")
    group.add_argument("--resize", type=int, required=True, help="length of the short side after scaling, in pixels")
    group.add_argument("--crop", type=int, required=True, help="side of the square cut from the centre, in pixels")
    group.add_argument("--mean", type=float, nargs=3, required=True, help="mean of each RGB channel, of 0..1")
    group.add_argument("--std", type=float, nargs=3, required=True, help="standard deviation of each RGB channel")
    group.add_argument("--interpolation", choices=["bilinear", "bicubic"], default="bilinear", help="resize filter")


def preprocessing_of(arguments: argparse.Namespace) -> Preprocessing:
    """Return the preprocessing that the options describe."""
    return Preprocessing(
        arguments.resize, arguments.crop, tuple(arguments.mean), tuple(arguments.std), arguments.interpolation
    )
