"""Lower the precision of an ONNX file to FP16 or BF16 with ModelOpt's AutoCast. Input and logits keep their types."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.benchmark.company import IN_FEWER_BITS
from slipway.core.artifacts import write_json, written_whole
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of
from slipway.networks.model_inputs import random_batch
from slipway.onnx.modelopt import PACKAGE, modelopt_version, scratch_folder
from slipway.onnx.onnx_files import (
    agreement_with_base,
    base_record,
    described,
    require_own_answers,
    require_served_tensors,
)
from slipway.onnx.tensor_names import INPUT

if TYPE_CHECKING:
    import onnx

VARIANTS = ("fp16", "bf16")
CHECKED_BATCHES = (1, 2, 5)
# A node with values above 1/8 of FP16's largest number stays FP32. AutoCast's own limit of 512 leaves
# whole convolutions of a ResNet-50 in FP32, which FP16 computes with a relative error below 1e-3.
LARGEST_VALUE = 65504 / 8


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--onnx", type=Path, required=True, help="FP32 ONNX file")
    arguments.add_argument("--onnx-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--variant", choices=VARIANTS, required=True, help="precision to lower it to")
    add_planned(arguments, "modelopt_version")
    arguments.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Convert, check, compare with the FP32 file, record."""
    import onnx

    version = modelopt_version()
    base = base_record(arguments.onnx, arguments.onnx_record)
    batches = [random_batch(base["input_dtype"], batch, base["crop"], seed=batch) for batch in CHECKED_BATCHES]
    model = lowered(arguments.onnx, arguments.variant, np.concatenate(batches))
    require_served_tensors(model, base["input_dtype"])
    with written_whole(arguments.output) as partial:
        onnx.save(model, partial)
        onnx.checker.check_model(str(partial), full_check=True)
        agreement, why_not = agreement_with_base(onnx.load(arguments.onnx), model, batches)
        company = require_own_answers(model, batches[0][:1], IN_FEWER_BITS) if agreement else None
    record = {
        **{name: base[name] for name in ("origin", "weights_sha256", "fp32_bytes", "crop", "input_dtype")},
        "key": settings_of(arguments),
        "variant": arguments.variant,
        "source_sha256": base["sha256"],
        **described(arguments.output),
        "agreement": agreement,
        "company": company,
        "not_compared_because": why_not,
        "calibration": None,
        "versions": {**base["versions"], PACKAGE: version, "onnx": onnx.__version__},
    }
    write_json(arguments.record, record)
    compared = f"relative error to FP32 {agreement['relative_error']:.1e}" if agreement else why_not
    progress(f"  {arguments.variant}: opset {record['opset']}, {record['bytes'] / 1e6:.0f} MB; {compared}")


def lowered(path: Path, variant: str, images: np.ndarray) -> "onnx.ModelProto":
    """Return the model of the file at `path` in a lower precision, in the oldest ONNX version that can express it.

    AutoCast keeps nodes in FP32 that have large values for `images` (N, 3, H, W).
    """
    import onnx
    from modelopt.onnx.autocast import convert_to_mixed_precision

    base_ir = onnx.load(path, load_external_data=False).ir_version
    with scratch_folder() as folder:
        inputs = folder / "inputs.npz"
        np.savez(inputs, **{INPUT: images})
        model = convert_to_mixed_precision(
            onnx_path=str(path),
            low_precision_type=variant,
            keep_io_types=True,
            calibration_data=str(inputs),
            data_max=LARGEST_VALUE,
        )
    # TensorRT 8.5 reads IR 8; BF16 needs newer operators, which need a newer IR.
    model.ir_version = max(base_ir, onnx.helper.find_min_ir_version_for(model.opset_import))
    return model


if __name__ == "__main__":
    run(main, parse_arguments())
