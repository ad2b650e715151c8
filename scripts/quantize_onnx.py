"""Quantise an ONNX file to INT8 or FP8: explicit Q/DQ nodes, calibrated on real inputs.

ModelOpt places the Q/DQ nodes for TensorRT and OpenVINO. ONNX Runtime's quantiser places the nodes for ONNX Runtime.
"""

import argparse
import re
from dataclasses import asdict
from pathlib import Path

import onnx

from slipway.classification.photograph_inputs import add_photographs, read_calibration
from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.contract.batches import digest_of_values, joined
from slipway.contract.contract import Contract, Tensors
from slipway.contract.samples import add_source, has_source, inputs_alone, name_of, samples_of
from slipway.core.artifacts import read_json
from slipway.core.cli import progress, run
from slipway.core.errors import SlipwayError, amended
from slipway.core.job_settings import add_planned
from slipway.core.setting_options import add_settings
from slipway.onnx import external_data
from slipway.onnx.convolution_head import with_convolution_head
from slipway.onnx.for_onnxruntime import quantized_for_onnxruntime
from slipway.onnx.layers import nodes_named
from slipway.onnx.modelopt import base_record, in_words, require_modelopt, scratch_folder, variant_parser, write_variant
from slipway.onnx.quantized import Quantized, SampleReader, inspect, lowered

# The number of calibration samples to compare with the FP32 file, and their batch size.
COMPARED, BATCH = 32, 8
# {variant of ModelOpt: the quantised type, and the type of everything else}
VARIANTS = {"int8": ("int8", "fp32"), "int8-fp16": ("int8", "fp16"), "fp8": ("fp8", "fp16")}
# The variant for ONNX Runtime, which needs another placement of Q/DQ nodes.
FOR_ONNXRUNTIME = "int8-onnxruntime"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = variant_parser(__doc__, sorted([*VARIANTS, FOR_ONNXRUNTIME]), "samples_record")
    add_photographs(add_source(arguments))
    add_settings(arguments, "calibration", "max_samples", "min_samples", "method")
    arguments.add_argument("--not-quantized", nargs="+", help="nodes, modules or operators that are not quantised")
    add_planned(arguments, "images_sha256", "modelopt_version")
    add_input(arguments)
    add_preprocessing(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the calibration samples, quantise, check the scales, compare with the FP32 file, and write the record."""
    require_modelopt()
    base = base_record(arguments)
    contract = Contract.of(base["interface"])
    samples, digest = calibration_of(arguments, contract)
    progress(f"  calibrating on {len(samples)} samples of {arguments.images or name_of(arguments)}")
    with scratch_folder() as folder:
        model = quantized(arguments, samples, base["opset"], base["ir_version"], folder)
        counted = require_quantized(inspect(model, folder))
        calibrated = {"samples": len(samples), "method": arguments.method, "sha256": digest}
        facts = {"quantized": asdict(counted), "calibration": calibrated}
        requests = compared(contract, samples)
        record = write_variant(arguments, base, model, requests, folder=folder, **facts)
    progress(
        f"  {arguments.variant}: {counted.share} compute nodes quantised, {record['bytes'] / 1e6:.0f} MB; "
        f"{in_words(record)}"
    )


def calibration_of(arguments: argparse.Namespace, contract: Contract) -> tuple[list[Tensors], str]:
    """Read the samples to calibrate on. Return (samples [{input: array}], SHA-256 of their files or values).

    Raises SlipwayError if there are too few samples, or if a sample does not fit the contract.
    """
    if has_source(arguments):
        samples = inputs_alone(samples_of(arguments, arguments.max_samples), arguments.targets)
        digest = digest_of_values(samples)
    else:
        preprocess = preprocessing_of(arguments, read_json(arguments.samples_record)["preprocess"])
        samples, digest = read_calibration(arguments.images, arguments.max_samples, preprocess, arguments.input)
    if len(samples) < arguments.min_samples:
        raise SlipwayError(
            f"the source of `calibration`, {arguments.images or name_of(arguments)}, gives {len(samples)} sample(s), "
            f"and at least {arguments.min_samples} are needed to measure the ranges of activations; add some like "
            "those that the model will see, or lower `calibration.min_samples` in config.yaml"
        )
    with amended("calibration: "):
        for sample in samples:
            contract.sizes_of(sample)
    return samples, digest


def quantized(
    arguments: argparse.Namespace, samples: list[Tensors], opset: int, ir_version: int, folder: Path
) -> onnx.ModelProto:
    """Return the model of the FP32 file (--onnx) with Q/DQ nodes, whose scales are measured on the calibration samples.

    `samples` is a list of {input: array}. `opset` and `ir_version` are those of the FP32 file; the variant "int8" gets
    them again if it is valid with them. Large weights stay in `folder`, where the quantisers write their files.
    """
    source, target = folder / "model.onnx", folder / "quantized.onnx"
    here, model = arguments.onnx.parent, external_data.read(arguments.onnx)
    precision = arguments.variant.partition("-")[0]
    excluded = nodes_named(model, arguments.not_quantized or [], f"precisions.{precision}.not_quantized")
    if arguments.variant == FOR_ONNXRUNTIME:
        external_data.write(model, source, here)
        return quantized_for_onnxruntime(source, samples, arguments.method, excluded, target)
    from modelopt.onnx.quantization import quantize

    mode, rest = VARIANTS[arguments.variant]
    external_data.write(with_convolution_head(model, here), source, here)
    quantize(
        str(source),
        quantize_mode=mode,
        calibration_data_reader=SampleReader(samples),
        calibration_method=arguments.method,
        calibration_eps=["cpu"],
        # A fully connected layer has become a convolution.
        nodes_to_exclude=[f"{re.escape(name)}(_convolution)?$" for name in excluded],
        high_precision_dtype=rest,
        # In `int8`, weights stay FP32 before a Q and a DQ node: TensorRT 8.x needs this, and OpenVINO reads it, too. In
        # `int8-fp16` and `fp8`, which strongly typed builders read, weights are stored as INT8 or FP8 before a DQ node.
        dq_only=rest != "fp32",
        use_external_data_format=external_data.has_data(external_data.read(source)),
        output_path=str(target),
        log_level="WARNING",
    )
    model = external_data.read(target)
    return lowered(model, opset, ir_version, folder) if rest == "fp32" else model


def require_quantized(counts: Quantized) -> Quantized:
    """Raise SlipwayError unless most compute nodes are quantised, and all scales are valid. Return `counts`."""
    if counts.bad_scales:
        raise SlipwayError(
            f"quantisation gave scales that are not finite and positive at {', '.join(counts.bad_scales[:5])}; the "
            "model answers the calibration data with constants or infinities: look at the checkpoint and at these data"
        )
    if counts.compute_nodes <= len(counts.compute_nodes_left):
        raise SlipwayError(
            f"only {counts.share} compute nodes were quantised; omitted: {', '.join(counts.compute_nodes_left[:5])}; "
            "leave INT8 and FP8 out of `targets.*.precisions` in config.yaml"
        )
    return counts


def compared(contract: Contract, samples: list[Tensors]) -> list[Tensors]:
    """Choose some evenly spread calibration samples, with which the quantised model is compared with the FP32 model.

    Returns them as requests [{input: array}]. If all sizes are fixed, several samples are joined into each request.
    """
    chosen = samples[:: max(1, len(samples) // COMPARED)][:COMPARED]
    if not contract.batched or contract.axes:
        return chosen
    return [joined(chosen[start : start + BATCH]) for start in range(0, len(chosen), BATCH)]


if __name__ == "__main__":
    run(main, parse_arguments())
