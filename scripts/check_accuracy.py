"""Compare an engine's answers with PyTorch's on photographs; stop the build when they are too far apart."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from slipway.artifacts import read_json, write_json
from slipway.engines.engine_artifact import BuiltEngine
from slipway.errors import SlipwayError
from slipway.inputs import logits_of, photograph_batch, served_model
from slipway.measuring.agreement import accuracy, compare, violations
from slipway.measuring.company import dependence, in_company, tolerance_of
from slipway.models import load_model
from slipway.photographs.image_files import find_images
from slipway.photographs.label_files import served_labels
from slipway.photographs.labelling import label_photographs
from slipway.photographs.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.planned import add_planned, settings_of
from slipway.planning.profiles import untaken
from slipway.program import parser, progress, run

BATCH = 8


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--labels-from", type=Path, help="the label file that they are from, if it is the user's")
    arguments.add_argument("--golden", type=Path, required=True, help="golden input and logits (.npz)")
    arguments.add_argument("--engine-record", type=Path, required=True, help="build record of the engine")
    arguments.add_argument("--labelled", type=Path, help="folder of photographs, labelled by folder or file name")
    arguments.add_argument("--max-images", type=int, default=1000, help="photographs to take from it at most")
    arguments.add_argument("--min-cosine", type=float, required=True, help="lowest cosine similarity of the logits")
    arguments.add_argument("--max-relative-error", type=float, required=True, help="highest norm of error over logits")
    arguments.add_argument(
        "--min-top1-agreement", type=float, required=True, help="lowest share with the same top class"
    )
    arguments.add_argument("--max-top1-drop", type=float, required=True, help="highest loss of top-1 accuracy")
    add_planned(arguments, "labelled_sha256", "labels_from_sha256", "torch_version")
    arguments.add_argument("--tensorrt-python", help="interpreter that has TensorRT; left out, this one")
    arguments.add_argument("--output", type=Path, required=True, help="JSON to write")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Compare on the sample photograph, then on the folder; write the figures, or stop with them."""
    limits = {
        name: getattr(arguments, name)
        for name in ("min_cosine", "max_relative_error", "min_top1_agreement", "max_top1_drop")
    }
    built = BuiltEngine.of_record(arguments.engine_record)
    with loaded(built, arguments.tensorrt_python) as engine:
        record = compared(arguments, built, engine, limits)
    problems = violations(record["sample"], limits)
    if problem := dependence(record["company"], tolerance_of(limits)):
        problems.append(f"{problem}, and Triton puts the requests of strangers into one batch")
    if found := record["photographs"]:
        problems += violations(found, limits) + dropped(found, limits["max_top1_drop"])
    if problems:
        raise SlipwayError(
            f"the {built.record['key']['precision']} engine is not accurate enough: {'; '.join(problems)}. Leave this "
            "precision out of `targets.*.precisions`, or change `accuracy.limits` in config.yaml"
        )
    write_json(arguments.output, record)
    show(record)


@contextlib.contextmanager
def loaded(built: BuiltEngine, python: str | None) -> Iterator[Any]:
    """Yield the engine, ready to infer; end the other interpreter that it may run in."""
    engine = built.load(python=python)
    try:
        yield engine
    finally:
        if hasattr(engine, "close"):
            engine.close()


def compared(arguments: argparse.Namespace, built: BuiltEngine, engine: Any, limits: dict) -> dict:
    """Return the record: agreement on the sample photograph, and on the folder where there is one."""
    golden = np.load(arguments.golden)
    answer = engine.infer(golden["input"])
    if answer.dtype != np.float32:
        raise SlipwayError(
            f"the engine answers in {answer.dtype}, where FP32 is served: its ONNX file is not Slipway's"
        )
    sample = compare(golden["logits"], answer)
    profiles = built.record.get("profiles") or []
    company = in_company(engine.infer, golden["input"], lambda size: not untaken(profiles, [size]))
    photographs = on_photographs(arguments, engine) if arguments.labelled else None
    return {
        "origin": built.record["origin"],
        "key": settings_of(arguments),
        "engine_key": built.record["key"],
        "limits": limits,
        "sample": sample,
        "company": company,
        "photographs": photographs,
        "proven_on_labels": bool(photographs and photographs["labelled"]),
    }


def on_photographs(arguments: argparse.Namespace, engine: Any) -> dict:
    """Return agreement on all photographs, and both accuracies on those whose class is known."""
    preprocess = preprocessing_of(arguments)
    model = load_model(arguments.weights, read_json(arguments.weights_record))
    model = served_model(model, preprocess, arguments.input)
    images = find_images(arguments.labelled, arguments.max_images)
    reference, logits = [], []
    for start in range(0, len(images), BATCH):
        batch = photograph_batch(images[start : start + BATCH], preprocess, arguments.input)
        reference.append(logits_of(model, batch))
        logits.append(engine.infer(batch))
        progress(f"  compared {min(start + BATCH, len(images))} of {len(images)} photographs")
    reference, logits = np.concatenate(reference), np.concatenate(logits)
    labelling = label_photographs(images, arguments.labelled, *served_labels(arguments.labels, arguments.labels_from))
    classes, known = labelling.classes, labelling.classes >= 0
    names = arguments.labels.read_text(encoding="utf-8").splitlines()
    found = {**compare(reference, logits), "labelled": int(known.sum()), "folders": labelling.record(names)}
    if known.any():
        found["pytorch"] = accuracy(reference[known], classes[known])
        found["engine"] = accuracy(logits[known], classes[known])
    return found


def dropped(found: dict, limit: float) -> list[str]:
    """Return in words a loss of top-1 accuracy beyond the limit."""
    if not found["labelled"]:
        return []
    drop = found["pytorch"]["top1"] - found["engine"]["top1"]
    return [f"top-1 accuracy falls by {drop:.4f}, allowed {limit:g}"] if drop > limit else []


def show(record: dict) -> None:
    """Show the figures in a line or two."""
    sample = record["sample"]
    progress(f"  sample: cosine {sample['min_cosine']:.6f}, relative error {sample['relative_error']:.1e}")
    found = record["photographs"]
    if found and found["labelled"]:
        progress(
            f"  {found['labelled']} labelled photographs: top-1 {found['engine']['top1']:.1%} "
            f"(PyTorch {found['pytorch']['top1']:.1%}), same top class on {found['top1_agreement']:.1%}"
        )
    elif found:
        progress(
            f"  none of the {found['images']} photographs tells its class: put them into a folder for each, named by "
            "its index or name; agreement with PyTorch is all it shows"
        )
    else:
        progress("  no labelled photographs are configured (accuracy.labelled): agreement with PyTorch is all it shows")


if __name__ == "__main__":
    run(main, parse_arguments())
