"""Compute the golden logits: PyTorch's own FP32 answer for the sample photograph, which every engine must repeat."""

import argparse
from pathlib import Path

import numpy as np

from slipway.artifacts import read_json, sha256, write_json, written_whole
from slipway.inputs import logits_of, photograph_batch, served_model
from slipway.measuring.agreement import top_classes
from slipway.models import load_model
from slipway.networks.own_answers import require_own_answers
from slipway.photographs.images import load_image, sample_photograph
from slipway.photographs.perturbations import varied_batch
from slipway.photographs.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.planned import add_planned, settings_of
from slipway.program import parser, progress, run


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--image", type=Path, help="photograph; left out, the one that Matplotlib installs")
    arguments.add_argument("--output", type=Path, required=True, help="NumPy archive to write: input and logits")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_planned(arguments, "image_sha256", "torch_version")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Preprocess the photograph, run the model, write input (1, 3, H, W) of its type and logits (1, classes).

    Beside them go 8 variations of the photograph, `variations` (8, 3, H, W), and their `variation_logits`.
    """
    image = arguments.image or sample_photograph()
    preprocess = preprocessing_of(arguments)
    batch = photograph_batch([image], preprocess, arguments.input)
    varied = varied_batch(load_image(image), preprocess, arguments.input)
    weights = read_json(arguments.weights_record)
    model = served_model(load_model(arguments.weights, weights), preprocess, arguments.input)
    company = require_own_answers(model, batch)
    logits, varied_logits = logits_of(model, batch), logits_of(model, varied)
    with written_whole(arguments.output) as partial, open(partial, "wb") as file:
        np.savez(file, input=batch, logits=logits, variations=varied, variation_logits=varied_logits)
    labels = arguments.labels.read_text(encoding="utf-8").splitlines()
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "weights_sha256": weights["sha256"],
        "image": Path(image).name,
        "image_sha256": sha256(image),
        "input_dtype": arguments.input,
        "sha256": sha256(arguments.output),
        "company": company,
        "top": top_classes(logits[0], labels),
    }
    write_json(arguments.record, record)
    best = record["top"][0]
    progress(f"  PyTorch says {best['label']} ({best['confidence']:.1%}, class {best['index']})")


if __name__ == "__main__":
    run(main, parse_arguments())
