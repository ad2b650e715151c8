"""Lower the precision of an ONNX file to FP16 or BF16 with ModelOpt's AutoCast. Inputs and outputs keep their types."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from slipway.contract.archives import read_samples
from slipway.contract.batches import batch_of
from slipway.contract.contract import Contract, Tensors
from slipway.core.cli import progress, run
from slipway.core.errors import explained_by
from slipway.core.job_settings import add_planned
from slipway.networks.user_code import first_sentence
from slipway.onnx import external_data
from slipway.onnx.layers import nodes_named
from slipway.onnx.modelopt import base_record, in_words, require_modelopt, scratch_folder, variant_parser, write_variant
from slipway.onnx.onnx_files import session_of

CHECKED_BATCHES = (2, 5)
# A node with values above 1/8 of FP16's largest number stays FP32. AutoCast's own limit of 512 leaves
# whole convolutions of a ResNet-50 in FP32, which FP16 computes with a relative error below 1e-3.
LARGEST_VALUE = 65504 / 8


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = variant_parser(__doc__, ("fp16", "bf16"))
    arguments.add_argument("--keep-in-fp32", nargs="+", help="nodes, modules or operators that stay in FP32")
    add_planned(arguments, "modelopt_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Convert the file, check the result, compare the result with the FP32 file, and write its record."""
    require_modelopt()
    base = base_record(arguments)
    contract, samples = Contract.of(base["interface"]), read_samples(arguments.samples)
    model = lowered(arguments.onnx, arguments.variant, samples, arguments.keep_in_fp32 or [])
    requests = [*samples, *(batch_of(contract, samples, batch) for batch in CHECKED_BATCHES)]
    record = write_variant(arguments, base, model, requests, calibration=None)
    progress(f"  {arguments.variant}: opset {record['opset']}, {record['bytes'] / 1e6:.0f} MB; {in_words(record)}")


def lowered(path: Path, variant: str, samples: list[Tensors], in_fp32: Sequence[str] = ()) -> onnx.ModelProto:
    """Return the FP32 model in the file at `path` in a lower precision: `variant` is "fp16" or "bf16".

    AutoCast keeps nodes in FP32 whose values for the samples are large. The nodes named in `in_fp32` also stay in FP32
    (see `nodes_named`). The IR version is the oldest that the operators allow, but not older than the file's.
    """
    from modelopt.onnx.autocast import convert_to_mixed_precision
    from modelopt.onnx.autocast.nodeclassifier import IORangeRule

    base = external_data.read(path)
    kept = nodes_named(base, in_fp32, f"precisions.{variant}.keep_in_fp32")
    explained = explained_by(
        lambda error: (
            f"ModelOpt's AutoCast cannot lower the file to {variant} ({first_sentence(error)}); leave {variant} out of "
            "`targets.*.precisions` in config.yaml, or write the part of the network that it names otherwise"
        )
    )
    with scratch_folder(), explained:
        model = convert_to_mixed_precision(
            onnx_path=str(path),
            low_precision_type=variant,
            keep_io_types=True,
            nodes_to_exclude=[f"{re.escape(name)}$" for name in kept],
            data_max=np.inf,  # AutoCast must not run the samples itself
            custom_rule=IORangeRule(LARGEST_VALUE, largest_values(base, samples, path.parent), {}),
        )
    # AutoCast writes sizes of inner tensors that are right only for one batch and one length.
    del model.graph.value_info[:]
    # TensorRT 8.5 reads IR 8; BF16 needs newer operators, which need a newer IR.
    model.ir_version = max(base.ir_version, onnx.helper.find_min_ir_version_for(model.opset_import))
    return model


def largest_values(model: onnx.ModelProto, samples: list[Tensors], folder: Path) -> Tensors:
    """Run the model on the samples. Return {tensor: its largest absolute value}; 0 for integers, which are not cast.

    AutoCast decides by these values which nodes stay in FP32. This function replaces AutoCast's own run of the model,
    which uses ONNX Runtime's optimisations. The optimisation GatherToSliceFusion removes the Range of position numbers,
    although this Range is an output of that run. `folder` has the file of the model's external data, if there is one.
    """
    names = [name for node in model.graph.node for name in node.output if name]
    every = onnx.ModelProto()
    every.CopyFrom(model)
    del every.graph.output[:]
    every.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = session_of(every, folder)
    largest: Tensors = {}
    for sample in samples:
        for name, values in {**sample, **dict(zip(names, session.run(names, sample), strict=True))}.items():
            is_float = isinstance(values, np.ndarray) and values.dtype.kind == "f"
            here = np.abs(values).max(initial=0) if is_float else 0
            largest[name] = np.maximum(largest.get(name, 0), here)
    return largest


if __name__ == "__main__":
    run(main, parse_arguments())
