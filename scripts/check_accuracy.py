"""Compare an engine's outputs with PyTorch's on photographs. Fail if they are too far apart."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from slipway.benchmark.agreement import compare, figures_in_words, violations
from slipway.benchmark.company import dependence, in_company, tolerance_of
from slipway.classification.image_files import find_images
from slipway.classification.label_files import served_labels
from slipway.classification.labelling import label_photographs
from slipway.classification.picture_contract import picture_contract
from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.classification.score_figures import accuracy
from slipway.contract.golden import Golden
from slipway.core.artifacts import read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned, settings_of
from slipway.engines.engine_artifact import BuiltEngine
from slipway.keys.optimization_profiles import unsupported_batches
from slipway.networks.model_inputs import logits_of, photograph_batch, served_model
from slipway.onnx.tensor_names import INPUT, OUTPUT
from slipway.outputs.meaning import Meaning
from slipway.outputs.variation import errors_of_variation, variations, weakness

BATCH = 8


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--labels", type=Path, required=True, help="class names, one a line")
    arguments.add_argument("--labels-from", type=Path, help="the user's label file, if the names come from one")
    arguments.add_argument("--golden", type=Path, required=True, help="golden input and logits (.npz)")
    arguments.add_argument("--engine-record", type=Path, required=True, help="build record of the engine")
    arguments.add_argument("--labelled", type=Path, help="folder of photographs, labelled by folder or file name")
    arguments.add_argument("--max-images", type=int, default=1000, help="largest number of its photographs")
    arguments.add_argument("--min-cosine", type=float, required=True, help="lowest cosine similarity of the logits")
    arguments.add_argument("--max-relative-error", type=float, required=True, help="highest norm of error / logits")
    arguments.add_argument("--min-top1-agreement", type=float, required=True, help="lowest share of equal top classes")
    arguments.add_argument("--min-top1", type=float, help="lowest top-1 accuracy of PyTorch and the engine")
    arguments.add_argument("--max-top1-drop", type=float, required=True, help="highest loss of top-1 accuracy")
    add_planned(arguments, "labelled_sha256", "labels_from_sha256", "torch_version")
    arguments.add_argument("--tensorrt-python", help="interpreter that has TensorRT; left out, this one")
    arguments.add_argument("--output", type=Path, required=True, help="JSON to write")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Compare on the sample photograph, then on the folder. Write the figures, or raise SlipwayError with them."""
    limits = {
        name: getattr(arguments, name)
        for name in ("min_cosine", "max_relative_error", "min_top1_agreement", "max_top1_drop")
    }
    built = BuiltEngine.of_record(arguments.engine_record)
    with built.loaded(arguments.tensorrt_python) as engine:
        record = compared(arguments, built, engine, limits)
    problems = violations(record["sample"], limits) + not_following(record)
    if problem := dependence(record["company"], tolerance_of(limits)):
        problems.append(f"{problem}, and Triton puts the requests of strangers into one batch")
    if photographs := record["photographs"]:
        problems += violations(photographs, limits) + dropped(photographs, limits["max_top1_drop"])
        problems += below_floor(photographs, arguments.min_top1)
    if problems:
        raise SlipwayError(
            f"the {built.record['key']['precision']} engine is not accurate enough: {'; '.join(problems)}. Leave this "
            "precision out of `targets.*.precisions`, or change `accuracy.limits` in config.yaml"
        )
    write_json(arguments.output, record)
    show(record)


def compared(arguments: argparse.Namespace, built: BuiltEngine, engine: Any, limits: dict) -> dict:
    """Return the record: agreement on the sample photograph and, if configured, on the folder.

    Raises SlipwayError if the engine's outputs are not FP32.
    """
    golden = Golden.read(arguments.golden)
    contract, request, meaning = golden.contract, golden.request, golden.meaning
    answer = engine.infer(request.inputs)[OUTPUT]
    if answer.dtype != np.float32:
        raise SlipwayError(
            f"the engine answers in {answer.dtype}, where FP32 is served: its ONNX file is not Slipway's"
        )
    sample = compare(request.outputs, {OUTPUT: answer}, contract)
    profiles = built.record.get("profiles") or []
    company = in_company(
        engine.infer, contract, [request.inputs], lambda size: not unsupported_batches(profiles, [size])
    )
    photographs = on_photographs(arguments, engine, meaning) if arguments.labelled else None
    return {
        "origin": built.record["origin"],
        "key": settings_of(arguments),
        "engine_key": built.record["key"],
        "limits": limits,
        "output": meaning.record(),
        "sample": sample,
        "company": company,
        "variation": following(golden, engine, limits),
        "photographs": photographs,
        "proven_on_labels": bool(photographs and photographs["labelled"]),
    }


def following(golden: Golden, engine: Any, limits: dict) -> dict:
    """Compare the variation of PyTorch's answers to the sample photograph and its variations with the engine's.

    `error` is 0 if the engine's answers vary as PyTorch's do, and 1 if they are no better than equal answers.
    """
    reference = golden.answers
    answers = list(map(engine.infer, golden.inputs))
    varies = variations(reference)
    finite = all(np.isfinite(answer[OUTPUT]).all() for answer in answers)
    return {
        "variation": varies[OUTPUT],
        "error": errors_of_variation(reference, answers)[OUTPUT] if finite else None,
        "weakness": weakness(varies, limits),
    }


def not_following(record: dict) -> list[str]:
    """Return in words that the engine is no better than one answer for all images; [] if it is better.

    A rehearsal may be so. The check applies only if the limits cannot show this themselves.
    """
    variation_record = record["variation"]
    if not variation_record["weakness"] or record["origin"] == "rehearsal" or (variation_record["error"] or 0) < 1:
        return []
    return [
        f"its answers to the sample photograph and its variations differ otherwise than PyTorch's, by "
        f"{variation_record['error']:.2g} times their difference, so one answer for everything would be as near"
    ]


def on_photographs(arguments: argparse.Namespace, engine: Any, meaning: Meaning) -> dict:
    """Return the agreement on all photographs, and both accuracies on the photographs of known class.

    Raises SlipwayError if the meaning of the outputs is unknown: labels would prove nothing.
    """
    from slipway.models import load_model  # only here: without labelled photographs, PyTorch is not needed

    meaning.require_labels_of_use(arguments.labelled)
    preprocess = preprocessing_of(arguments)
    model = load_model(arguments.weights, read_json(arguments.weights_record))
    model = served_model(model, preprocess, arguments.input)
    images = find_images(arguments.labelled, arguments.max_images)
    reference, logits = [], []
    for start in range(0, len(images), BATCH):
        batch = photograph_batch(images[start : start + BATCH], preprocess, arguments.input)
        reference.append(logits_of(model, batch))
        logits.append(engine.infer({INPUT: batch})[OUTPUT])
        progress(f"  compared {min(start + BATCH, len(images))} of {len(images)} photographs")
    reference, logits = np.concatenate(reference), np.concatenate(logits)
    contract = picture_contract(batch.dtype, meaning)
    agreement = compare({OUTPUT: reference}, {OUTPUT: logits}, contract)
    figures = {"images": len(images), **agreement}
    if not meaning.has_classes:
        return {**figures, "labelled": 0}
    scores = {"pytorch": meaning.scores(reference), "engine": meaning.scores(logits)}
    labels, source = served_labels(arguments.labels, arguments.labels_from)
    meaning.require_name_for_each(labels.names)
    labelling = label_photographs(images, arguments.labelled, labels, source)
    classes, has_class = labelling.classes, labelling.classes >= 0
    figures |= {
        "labelled": int(has_class.sum()),
        "folders": labelling.record(labels.names),
    }
    if has_class.any():
        figures |= {subject: accuracy(rows[has_class], classes[has_class]) for subject, rows in scores.items()}
    return figures


def dropped(figures: dict, limit: float) -> list[str]:
    """Return in words a loss of top-1 accuracy beyond the limit; [] if it is within the limit."""
    if not figures["labelled"]:
        return []
    drop = figures["pytorch"]["top1"] - figures["engine"]["top1"]
    return [f"top-1 accuracy falls by {drop:.4f}, allowed {limit:g}"] if drop > limit else []


def below_floor(figures: dict, floor: float | None) -> list[str]:
    """Return in words each top-1 accuracy below `accuracy.min_top1`; [] if none is."""
    if floor is None:
        return []
    if not figures["labelled"]:
        return [f"none of the {figures['images']} photographs has a known class, so `accuracy.min_top1` cannot be held"]
    return [
        f"the top-1 accuracy of {name} is {figures[subject]['top1']:.4f}, below `accuracy.min_top1`, {floor:g}"
        for subject, name in (("pytorch", "PyTorch itself"), ("engine", "the engine"))
        if figures[subject]["top1"] < floor
    ]


def show(record: dict) -> None:
    """Print the figures in one or two lines."""
    sample = record["sample"]
    progress(f"  sample: {figures_in_words(sample)}")
    if weak := record.get("variation", {}).get("weakness"):
        progress(f"  CAUTION: {weak}")
    if "min_cosine" not in sample:
        progress("  its outputs are no class scores, so of the limits only max_relative_error is held against them")
        return
    photographs = record["photographs"]
    if photographs and photographs["labelled"]:
        decided = "decision_agreement" in photographs
        words = "decision" if decided else "top class"
        agreement = photographs["decision_agreement" if decided else "top1_agreement"]
        progress(
            f"  {photographs['labelled']} labelled photographs: top-1 {photographs['engine']['top1']:.1%} "
            f"(PyTorch {photographs['pytorch']['top1']:.1%}), same {words} on {agreement:.1%}"
        )
    elif photographs:
        progress(
            f"  none of the {photographs['images']} photographs has a known class: put them into a folder for each, "
            "named by its index or name; agreement with PyTorch is all it shows"
        )
    else:
        progress("  no labelled photographs are configured (accuracy.labelled): agreement with PyTorch is all it shows")


if __name__ == "__main__":
    run(main, parse_arguments())
