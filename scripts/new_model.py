"""Write a first entry of config.yaml for a checkpoint: its network, number of classes, preprocessing, samples."""

import argparse
import re
from pathlib import Path

import yaml

from slipway.core.cli import parser, printable, progress, run
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.weights_files import WEIGHTS_SUFFIXES
from slipway.models.describing import described
from slipway.storage.addresses import is_address, local_path, require_no_secret
from slipway.storage.local_copies import fetched, planned


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "checkpoint", help="a checkpoint, exported program, TorchScript or ONNX file, also in storage"
    )
    arguments.add_argument("--name", help="name of the model; left out, that of the file")
    arguments.add_argument("--config", type=Path, default=Path("config.yaml"), help="whose names are taken already")
    arguments.add_argument("--output", type=Path, help="new file to write, for --configfile; left out, the terminal")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Print the entry, or write it into a new file. An existing file is never changed."""
    weights, output = arguments.checkpoint, arguments.output
    checkpoint = _local(weights)
    if not checkpoint.is_file():
        raise SlipwayError(f"{checkpoint} is no file; name a checkpoint")
    if not checkpoint.name.endswith(WEIGHTS_SUFFIXES):
        raise SlipwayError(
            f"{checkpoint} has no suffix that `weights` takes; rename it to {checkpoint.name}.pth, or as its format "
            "needs"
        )
    name = arguments.name or _name_of(checkpoint)
    if name in _names_in(arguments.config):
        raise SlipwayError(f"{arguments.config} has a model {name}; give the new one another --name")
    if output and output.exists():
        raise SlipwayError(f"{output} exists, and is not overwritten; name a new file as --output")
    text, findings = described(checkpoint, weights, name)
    complete({"models": yaml.safe_load(text)["models"]})  # finds mistakes, such as an invalid model name
    for finding in findings:
        progress(finding)
    if output is None:
        print(printable(text), end="")
        return
    with output.open("x", encoding="utf-8") as file:
        file.write(text)
    progress(f"wrote {output}; then: snakemake -n deploy --configfile {output}")


def _local(weights: str) -> Path:
    """Return the local path of a checkpoint. A checkpoint in storage is downloaded first."""
    require_no_secret("weights", weights)
    if is_address(weights):
        return fetched(weights, planned(weights).fingerprint)
    return Path(local_path(weights))


def _name_of(checkpoint: Path) -> str:
    """Return a valid model name made from a file's name."""
    stem = next(checkpoint.name.removesuffix(suffix) for suffix in WEIGHTS_SUFFIXES if checkpoint.name.endswith(suffix))
    name = re.sub(r"[^a-z0-9]+", "_", stem.removesuffix(".pth").lower()).strip("_")
    return name if name[:1].isalpha() else f"model_{name}".rstrip("_")


def _names_in(config: Path) -> set[str]:
    """Return the names of the models in a configuration file; an empty set if there is no such file."""
    try:
        models = yaml.safe_load(config.read_text(encoding="utf-8"))["models"]
    except (OSError, TypeError, KeyError, yaml.YAMLError):
        return set()
    return set(models) if isinstance(models, dict) else set()


if __name__ == "__main__":
    run(main, parse_arguments())
