"""Quantise an ONNX file to INT8 or FP8 with ModelOpt: explicit Q/DQ nodes, calibrated on the user's photographs."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.benchmark.company import IN_FEWER_BITS
from slipway.core.artifacts import write_json, written_whole
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned, settings_of
from slipway.onnx.classifier_head import with_convolution_head
from slipway.onnx.modelopt import PACKAGE, modelopt_version, scratch_folder
from slipway.onnx.onnx_files import (
    agreement_with_base,
    base_record,
    described,
    require_own_answers,
    require_served_tensors,
)
from slipway.onnx.quantized import Quantized, inspect, lowered, widened
from slipway.onnx.tensor_names import INPUT
from slipway.photographs.calibration import Calibration, read_calibration
from slipway.photographs.preprocessing_options import add_input, add_preprocessing, preprocessing_of

if TYPE_CHECKING:
    import onnx

METHODS = ("entropy", "max")
# The number of calibration photographs for the comparison with the FP32 file, and their batch size.
COMPARED, BATCH = 32, 8


@dataclass(frozen=True)
class Recipe:
    """The types of a variant: the quantised type, and the type of everything else."""

    mode: str
    rest: str


VARIANTS = {"int8": Recipe("int8", "fp32"), "int8-fp16": Recipe("int8", "fp16"), "fp8": Recipe("fp8", "fp16")}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--onnx", type=Path, required=True, help="FP32 ONNX file")
    arguments.add_argument("--onnx-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--variant", choices=sorted(VARIANTS), required=True, help="variant to make")
    arguments.add_argument("--images", type=Path, required=True, help="folder of photographs to calibrate on")
    arguments.add_argument("--max-images", type=int, default=512, help="largest number of photographs from this folder")
    arguments.add_argument("--min-images", type=int, default=32, help="required number of photographs")
    arguments.add_argument(
        "--method", choices=METHODS, default="entropy", help="method to choose a range from the observed values"
    )
    add_planned(arguments, "images_sha256", "modelopt_version")
    arguments.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the photographs, quantise, check the scales, compare with the FP32 file, record."""
    import onnx

    version = modelopt_version()
    base = base_record(arguments.onnx, arguments.onnx_record)
    require_same_input(arguments, base)
    calibration = read_calibration(
        arguments.images, arguments.max_images, arguments.min_images, preprocessing_of(arguments), arguments.input
    )
    progress(f"  calibrating on {len(calibration.images)} photographs of {arguments.images}")
    model = quantized(arguments, calibration, base["opset"], base["ir_version"])
    require_served_tensors(model, arguments.input)
    counted = require_quantized(inspect(model))
    with written_whole(arguments.output) as partial:
        onnx.save(model, partial)
        onnx.checker.check_model(str(partial), full_check=True)
        agreement, why_not = agreement_with_base(onnx.load(arguments.onnx), widened(model), sample(calibration))
        company = require_own_answers(widened(model), calibration.images[:1], IN_FEWER_BITS) if agreement else None
    record = {
        **{name: base[name] for name in ("origin", "weights_sha256", "fp32_bytes", "crop", "input_dtype")},
        "key": settings_of(arguments),
        "variant": arguments.variant,
        "source_sha256": base["sha256"],
        **described(arguments.output),
        "quantized": counted.record(),
        "agreement": agreement,
        "company": company,
        "not_compared_because": why_not,
        "calibration": calibration.record(arguments.method),
        "versions": {**base["versions"], PACKAGE: version, "onnx": onnx.__version__},
    }
    write_json(arguments.record, record)
    compared = f"relative error to FP32 {agreement['relative_error']:.1e}" if agreement else why_not
    share = f"{counted.compute} of {counted.compute + len(counted.skipped)}"
    progress(f"  {arguments.variant}: {share} compute nodes quantised, {record['bytes'] / 1e6:.0f} MB; {compared}")


def require_same_input(arguments: argparse.Namespace, base: dict) -> None:
    """Raise SlipwayError unless the photographs will have the dtype and size of the exported file's input."""
    requested, exported = (arguments.input, arguments.crop), (base["input_dtype"], base["crop"])
    if requested != exported:
        raise SlipwayError(
            f"{arguments.onnx} was exported for {exported[0]} inputs of {exported[1]} pixels, but this job calibrates "
            f"with {requested[0]} inputs of {requested[1]} pixels; run snakemake again, or pass the same --input and "
            "--crop"
        )


def quantized(
    arguments: argparse.Namespace, calibration: Calibration, opset: int, ir_version: int
) -> "onnx.ModelProto":
    """Return the file's model with Q/DQ nodes, with scales measured on the calibration images."""
    import onnx
    from modelopt.onnx.quantization import quantize

    recipe = VARIANTS[arguments.variant]
    with scratch_folder() as folder:
        # ModelOpt writes beside its input.
        source, target = folder / "model.onnx", folder / "quantized.onnx"
        onnx.save(with_convolution_head(onnx.load(arguments.onnx)), source)
        quantize(
            str(source),
            quantize_mode=recipe.mode,
            calibration_data={INPUT: calibration.images},
            calibration_method=arguments.method,
            calibration_eps=["cpu"],
            high_precision_dtype=recipe.rest,
            # TensorRT 8.x reads weights as FP32, then Q, then DQ. Later releases read them as INT8, then DQ.
            dq_only=recipe.rest != "fp32",
            output_path=str(target),
            log_level="WARNING",
        )
        model = onnx.load(target)
    return lowered(model, opset, ir_version) if recipe.rest == "fp32" else model


def require_quantized(counts: Quantized) -> Quantized:
    """Return the counts. Raise SlipwayError unless most compute nodes are quantised, with valid scales."""
    if counts.bad_scales:
        raise SlipwayError(
            f"quantisation gave scales that are not finite and positive at {', '.join(counts.bad_scales[:5])}; the "
            "model answers the calibration images with constants or infinities: look at the checkpoint and the images"
        )
    if counts.compute <= len(counts.skipped):
        raise SlipwayError(
            f"only {counts.compute} of {counts.compute + len(counts.skipped)} compute nodes were quantised, not "
            f"{', '.join(counts.skipped[:5])}; leave INT8 and FP8 out of `targets.*.precisions` in config.yaml"
        )
    return counts


def sample(calibration: Calibration) -> list:
    """Return some of the calibration images, evenly spread, in batches."""
    step = max(1, len(calibration.images) // COMPARED)
    images = calibration.images[::step][:COMPARED]
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


if __name__ == "__main__":
    run(main, parse_arguments())
