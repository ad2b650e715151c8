"""Export a checkpoint to ONNX with a dynamic batch, check the file, and compare it with PyTorch on several batches."""

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.artifacts import read_json, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.graphs.onnx_files import described
from slipway.inputs import logits_of, random_batch, served_model
from slipway.measuring.agreement import compare
from slipway.models import load_model
from slipway.outputs.variation import require_zeros_nowhere
from slipway.photographs.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.planned import add_planned, settings_of
from slipway.program import parser, progress, run
from slipway.triton.modelconfig import INPUT, OUTPUT

if TYPE_CHECKING:
    import numpy as np
    import torch

CHECKED_BATCHES = (1, 2, 5)
MAX_RELATIVE_ERROR = 1e-4
# PyTorch's exporter writes this opset and newer ones; older ones come from its TorchScript exporter.
OLDEST_DYNAMO_OPSET = 18


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--opset", type=int, required=True, help="ONNX opset that every runtime to come can read")
    add_planned(arguments, "torch_version", "onnxscript_version", "onnxslim_version")
    arguments.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_input(arguments)
    add_preprocessing(arguments, required=False)
    given = arguments.parse_args(argv)
    if given.input == "uint8" and None in (given.resize, given.mean, given.std):
        arguments.error("--input uint8 needs --resize, --mean and --std, since the graph then normalises its pixels")
    return given


def main(arguments: argparse.Namespace) -> None:
    """Export, check, compare, record."""
    import onnx
    import torch

    weights = read_json(arguments.weights_record)
    preprocess = preprocessing_of(arguments) if arguments.input == "uint8" else None
    model = served_model(load_model(arguments.weights, weights), preprocess, arguments.input)
    with written_whole(arguments.output) as partial:
        export(model, random_batch(arguments.input, 2, arguments.crop), arguments.opset, partial)
        onnx.checker.check_model(str(partial), full_check=True)
        agreement = compare_with_pytorch(model, partial, arguments.crop, arguments.input)
    about = described(arguments.output)
    record = {
        "origin": weights["origin"],
        "key": settings_of(arguments),
        "weights_sha256": weights["sha256"],
        "variant": "fp32",
        **about,
        "fp32_bytes": about["bytes"],
        "crop": arguments.crop,
        "input_dtype": arguments.input,
        "agreement": agreement,
        "versions": {"torch": torch.__version__, "onnx": onnx.__version__, "python": platform.python_version()},
    }
    write_json(arguments.record, record)
    worst = max(found["relative_error"] for found in agreement.values())
    progress(
        f"  opset {record['opset']}, {record['nodes']} nodes, {record['bytes'] / 1e6:.0f} MB; relative error to "
        f"PyTorch at most {worst:.1e} at batch sizes {', '.join(agreement)}"
    )


def export(model: "torch.nn.Module", example: "np.ndarray", opset: int, path: Path) -> None:
    """Write `model` for inputs like `example` (batch, 3, H, W) with a dynamic batch to `path`, weights inside."""
    import torch

    names = {"input_names": [INPUT], "output_names": [OUTPUT], "opset_version": opset}
    inputs = (torch.from_numpy(example),)
    if opset >= OLDEST_DYNAMO_OPSET:
        batch = ({0: torch.export.Dim("batch", min=1, max=4096)},)
        torch.onnx.export(
            model, inputs, path, dynamo=True, external_data=False, dynamic_shapes=batch, verbose=False, **names
        )
        forget_sources(path)
    else:
        axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
        torch.onnx.export(model, inputs, path, dynamo=False, dynamic_axes=axes, **names)
        simplify(path)


def forget_sources(path: Path) -> None:
    """Take out of each node the lines of source that it comes from: their paths make every clone's file another."""
    import onnx

    model = onnx.load(path)
    for node in model.graph.node:
        kept = [each for each in node.metadata_props if not each.key.endswith(".stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def simplify(path: Path) -> None:
    """Fold the constants of the file at `path`, as PyTorch's newer exporter does by itself.

    What the older one leaves, such as paddings computed at run time and biases behind Identity nodes, keeps builders
    from fusing convolutions and ModelOpt from quantising them.
    """
    import onnx
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(path), skip_fusion_patterns=["FusionGemm"]), path)


def compare_with_pytorch(model: "torch.nn.Module", path: Path, crop: int, input_dtype: str) -> dict[str, dict]:
    """Return the agreement of ONNX Runtime on the file with PyTorch, by batch size; refuse a poor one."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = {}
    for batch in CHECKED_BATCHES:
        images = random_batch(input_dtype, batch, crop, seed=batch)
        reference = logits_of(model, images)
        require_zeros_nowhere(reference)
        agreement = compare(reference, session.run([OUTPUT], {INPUT: images})[0], None)
        if not agreement["relative_error"] <= MAX_RELATIVE_ERROR:  # NaN is no agreement
            raise SlipwayError(
                f"the ONNX file answers differently from PyTorch at batch size {batch}: relative error "
                f"{agreement['relative_error']:.2e}, allowed {MAX_RELATIVE_ERROR:.0e}; the model does something that "
                "the export does not carry, such as Python control flow that depends on its input"
            )
        found[str(batch)] = agreement
    return found


if __name__ == "__main__":
    run(main, parse_arguments())
