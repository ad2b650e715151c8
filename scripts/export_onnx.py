"""Export a checkpoint to ONNX with a dynamic batch, check the file, and compare it with PyTorch on several batches."""

import argparse
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.agreement import compare
from slipway.artifacts import read_json, sha256, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.models import load_model
from slipway.program import parser, progress, run
from slipway.triton.modelconfig import INPUT, OUTPUT

if TYPE_CHECKING:
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
    arguments.add_argument("--crop", type=int, required=True, help="height and width of the input in pixels")
    arguments.add_argument("--torch-version", help="the PyTorch that must do it")
    arguments.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Export, check, compare, record."""
    import onnx
    import torch

    require_version("PyTorch", metadata.version("torch"), arguments.torch_version)
    weights = read_json(arguments.weights_record)
    model = load_model(arguments.weights, weights)
    with written_whole(arguments.output) as partial:
        export(model, arguments.crop, arguments.opset, partial)
        onnx.checker.check_model(str(partial), full_check=True)
        agreement = compare_with_pytorch(model, partial, arguments.crop)
    proto = onnx.load(arguments.output, load_external_data=False)
    record = {
        "origin": weights["origin"],
        "weights_sha256": weights["sha256"],
        "sha256": sha256(arguments.output),
        "bytes": arguments.output.stat().st_size,
        "crop": arguments.crop,
        "opset": next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")),
        "ir_version": proto.ir_version,
        "nodes": len(proto.graph.node),
        "agreement": agreement,
        "versions": {"torch": torch.__version__, "onnx": onnx.__version__, "python": platform.python_version()},
    }
    write_json(arguments.record, record)
    worst = max(found["relative_error"] for found in agreement.values())
    progress(
        f"  opset {record['opset']}, {record['nodes']} nodes, {record['bytes'] / 1e6:.0f} MB; relative error to "
        f"PyTorch at most {worst:.1e} at batch sizes {', '.join(agreement)}"
    )


def export(model: "torch.nn.Module", crop: int, opset: int, path: Path) -> None:
    """Write `model` for inputs (batch, 3, crop, crop) with a dynamic batch to `path`, weights inside."""
    import torch

    example = torch.zeros(2, 3, crop, crop)
    names = {"input_names": [INPUT], "output_names": [OUTPUT], "opset_version": opset}
    if opset >= OLDEST_DYNAMO_OPSET:
        batch = ({0: torch.export.Dim("batch", min=1, max=4096)},)
        torch.onnx.export(
            model, (example,), path, dynamo=True, external_data=False, dynamic_shapes=batch, verbose=False, **names
        )
    else:
        axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
        torch.onnx.export(model, (example,), path, dynamo=False, dynamic_axes=axes, **names)


def compare_with_pytorch(model: "torch.nn.Module", path: Path, crop: int) -> dict[str, dict]:
    """Return the agreement of ONNX Runtime on the file with PyTorch, by batch size; refuse a poor one."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    found = {}
    for batch in CHECKED_BATCHES:
        images = random.standard_normal((batch, 3, crop, crop), dtype=np.float32)
        with torch.inference_mode():
            reference = model(torch.from_numpy(images)).numpy()
        agreement = compare(reference, session.run([OUTPUT], {INPUT: images})[0])
        if agreement["relative_error"] > MAX_RELATIVE_ERROR:
            raise SlipwayError(
                f"the ONNX file answers differently from PyTorch at batch size {batch}: relative error "
                f"{agreement['relative_error']:.2e}, allowed {MAX_RELATIVE_ERROR:.0e}; the model does something that "
                "the export does not carry, such as Python control flow that depends on its input"
            )
        found[str(batch)] = agreement
    return found


def require_version(name: str, found: str, declared: str | None) -> None:
    """Raise SlipwayError when the job was planned for another version than the one that runs."""
    if declared and declared != found:
        raise SlipwayError(f"this job was planned for {name} {declared}, but {found} runs; run snakemake again")


if __name__ == "__main__":
    run(main, parse_arguments())
