"""Export a checkpoint to ONNX with a dynamic batch, check the file, and compare it with PyTorch on several batches."""

import argparse
import math
import platform
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from slipway.benchmark.agreement import compare
from slipway.benchmark.company import IN_32_BITS
from slipway.benchmark.strangers import strangers
from slipway.classification.picture_contract import picture_contract
from slipway.classification.preprocessing_options import add_input, add_preprocessing, preprocessing_of
from slipway.core.artifacts import read_json, write_json, written_whole
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned, settings_of
from slipway.core.os_errors import of_system
from slipway.core.pytorch import torch
from slipway.models import load_model
from slipway.networks.export_failures import FrozenLines, why_not_exported, why_the_batch_is_fixed
from slipway.networks.forward_failures import other_types
from slipway.networks.model_inputs import answers_in_float32, logits_of, random_batch, served_model
from slipway.networks.own_answers import require_own_answers
from slipway.networks.user_code import first_sentence, without_colours
from slipway.onnx.onnx_files import described, require_served_tensors
from slipway.onnx.onnx_files import require_own_answers as own_answers_of_file
from slipway.onnx.tensor_names import INPUT, OUTPUT

CHECKED_BATCHES = (1, 2, 5)
MAX_RELATIVE_ERROR = 1e-4
# PyTorch's exporter writes this opset and newer ones. For older opsets, the TorchScript exporter is used.
OLDEST_DYNAMO_OPSET = 18


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--weights", type=Path, required=True, help="canonical checkpoint (.safetensors)")
    arguments.add_argument("--weights-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--opset", type=int, required=True, help="ONNX opset that the runtimes of all targets read")
    add_planned(arguments, "torch_version", "onnxscript_version", "onnxslim_version")
    arguments.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    arguments.add_argument("--record", type=Path, required=True, help="JSON record to write")
    add_input(arguments)
    add_preprocessing(arguments, required=False)
    options = arguments.parse_args(argv)
    if options.input == "uint8" and None in (options.resize, options.mean, options.std):
        arguments.error("--input uint8 needs --resize, --mean and --std, since the graph then normalises its pixels")
    return options


def main(arguments: argparse.Namespace) -> None:
    """Export, check, compare, record."""
    weights = read_json(arguments.weights_record)
    preprocess = preprocessing_of(arguments) if arguments.input == "uint8" else None
    model = served_model(load_model(arguments.weights, weights), preprocess, arguments.input)
    example = random_batch(arguments.input, 2, arguments.crop)
    require_own_answers(model, example[:1])
    model, answers_in = answers_in_float32(model, torch.from_numpy(example[:1]))
    if answers_in != "float32":
        progress(f"  the network answers in {answers_in}; the exported graph casts its logits to FP32, which is served")
    with written_whole(arguments.output) as partial:
        frozen = exported(model, example, arguments.opset, partial)
        for line in frozen.lines:
            progress(f"  CAUTION: the exporter replaced Python code by its result for one batch, in {line}")
        require_valid(partial, arguments.input)
        agreement = compare_with_pytorch(model, partial, arguments.crop, arguments.input, frozen)
        company = own_answers_of_file(onnx.load(partial), example[:1], IN_32_BITS)
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
        "answers_in": answers_in,
        "agreement": agreement,
        "company": company,
        "versions": {"torch": torch.__version__, "onnx": onnx.__version__, "python": platform.python_version()},
    }
    write_json(arguments.record, record)
    worst = max(figures["relative_error"] for figures in agreement.values())
    progress(
        f"  opset {record['opset']}, {record['nodes']} nodes, {record['bytes'] / 1e6:.0f} MB; relative error to "
        f"PyTorch at most {worst:.1e} at batch sizes {', '.join(agreement)}"
    )


def exported(model: torch.nn.Module, example: np.ndarray, opset: int, path: Path) -> FrozenLines:
    """Export, and return the user's lines that the exporter replaced by their result for one input.

    Raises SlipwayError with the operator or line that cannot be exported, or that fixes the batch size.
    """
    with FrozenLines() as frozen:
        try:
            export(model, example, opset, path)
        except Exception as error:  # PyTorch and its libraries raise many types
            print(without_colours(traceback.format_exc()), file=sys.stderr)
            if failure := of_system(error):
                raise failure from None
            raise SlipwayError(why_not_exported(error, model, opset)) from None
    inputs = onnx.load(path).graph.input
    if not inputs:
        raise SlipwayError(f"the exported file has no input: {frozen.in_words()}")
    if inputs[0].type.tensor_type.shape.dim[0].HasField("dim_value"):
        raise SlipwayError(why_the_batch_is_fixed(model, torch.from_numpy(example)))
    return frozen


def require_valid(path: Path, input_dtype: str) -> None:
    """Raise SlipwayError unless an exported file is valid ONNX with the served tensors."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        traceback.print_exc()
        raise SlipwayError(
            f"the exported file is not sound ONNX ({first_sentence(error)}), a defect of PyTorch's exporter; "
            "find the named part of the network, and write this part with other operators"
        ) from None
    require_served_tensors(onnx.load(path), input_dtype)


def export(model: torch.nn.Module, example: np.ndarray, opset: int, path: Path) -> None:
    """Write `model` to `path` with weights inside, for inputs like `example` (N, 3, H, W) with a dynamic batch."""
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
    """Remove the source lines from each node: their paths would make the file different in every clone."""
    model = onnx.load(path)
    for node in model.graph.node:
        other_entries = [entry for entry in node.metadata_props if not entry.key.endswith(".stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(other_entries)
    onnx.save(model, path)


def simplify(path: Path) -> None:
    """Fold the constants of the file at `path`, as PyTorch's newer exporter does itself.

    The older exporter leaves paddings computed at run time and biases behind Identity nodes. They would keep builders
    from fusing convolutions, and ModelOpt from quantising them.
    """
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(path), skip_fusion_patterns=["FusionGemm"]), path)


def compare_with_pytorch(
    model: torch.nn.Module, path: Path, crop: int, input_dtype: str, frozen: FrozenLines
) -> dict[str, dict]:
    """Return the agreement of the file in ONNX Runtime with PyTorch, by batch size. Raise SlipwayError if it is poor.

    Very different pictures are also compared, one at a time: the network's code may make decisions by their values.
    """
    session = session_of_file(path, model)
    agreement = {}
    for batch in CHECKED_BATCHES:
        images = random_batch(input_dtype, batch, crop, seed=batch)
        agreement[str(batch)] = agreement_on(model, session, [images], frozen)
    differing = strangers(picture_contract(input_dtype), [{INPUT: random_batch(input_dtype, 1, crop)}])
    agreement_on(model, session, [each[INPUT] for each in differing], frozen)
    return agreement


def session_of_file(path: Path, model: torch.nn.Module) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU. Raise SlipwayError if it lacks an operator or type of the file."""
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common class for its errors
        traceback.print_exc()
        weights = other_types(model)
        advice = "write that part of the network with other operators"
        if weights or re.search(r"float16|double", str(error)):
            advice = "let it compute in float32 (no .double(), .half() or autocast)"
            advice += f": its weights are {' and '.join(weights)}" if weights else ""
        raise SlipwayError(
            f"ONNX Runtime cannot run the exported file ({first_sentence(error)}), so the file is unverified; {advice}"
        ) from None


def agreement_on(
    model: torch.nn.Module, session: onnxruntime.InferenceSession, batches: list[np.ndarray], frozen: FrozenLines
) -> dict:
    """Return the agreement over batches of images (N, 3, H, W). Raise SlipwayError if it is poor."""
    reference = np.concatenate([logits_of(model, images) for images in batches])
    try:
        answers = [session.run([OUTPUT], {INPUT: images})[0] for images in batches]
        contract = picture_contract(batches[0].dtype)
        agreement = compare({OUTPUT: reference}, {OUTPUT: np.concatenate(answers)}, contract)
        problem = f"relative error {agreement['relative_error']:.2e}, allowed {MAX_RELATIVE_ERROR:.0e}"
    except Exception:  # a shape that is fixed in the file, or any other error of ONNX Runtime
        traceback.print_exc()
        agreement, problem = {"relative_error": math.inf}, "ONNX Runtime cannot run it; the log says why"
    if agreement["relative_error"] <= MAX_RELATIVE_ERROR:  # NaN is no agreement
        return agreement
    raise SlipwayError(
        f"the ONNX file answers differently from PyTorch at batch size {len(batches[0])} ({problem}): "
        f"{frozen.in_words()}"
    )


if __name__ == "__main__":
    run(main, parse_arguments())
