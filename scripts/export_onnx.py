"""Export a checkpoint to ONNX with dynamic axes, check the file, and compare it with PyTorch at several sizes."""

import argparse
import platform
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnxruntime

from slipway.benchmark.agreement import compare_requests
from slipway.benchmark.batch_independence import IN_32_BITS
from slipway.benchmark.batch_neighbours import batch_neighbours
from slipway.contract.archives import read_samples
from slipway.contract.batches import batch_of
from slipway.contract.contract import BATCH, Contract, Tensors
from slipway.contract.network import ServedNetwork, answers_of, dtypes_of
from slipway.core.artifacts import atomic_write_together, data_file, read_json, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError, explained_by
from slipway.core.job_settings import about_weights, add_planned
from slipway.core.os_errors import of_system
from slipway.core.pytorch import torch
from slipway.models.canonical import load_model
from slipway.networks.batch_independence import require_batch_independence
from slipway.networks.export_failures import frozen_lines, why_answers_differ, why_not_exported
from slipway.networks.forward_failures import other_types
from slipway.networks.graph_network import GraphNetwork, runtime_of
from slipway.networks.user_code import first_sentence, without_colours
from slipway.onnx import external_data, onnx_files
from slipway.onnx.export import export, require_dynamic_axes
from slipway.onnx.foreign_file import operators_of
from slipway.onnx.served_graph import take_graph

CHECKED_BATCHES = (1, 2, 5)
MAX_RELATIVE_ERROR = 1e-4
# Integers such as the index of the largest value may differ if two values differ by rounding alone.
MIN_EQUAL_VALUES = 0.999


@dataclass
class LeftOut:
    """The parts of a network's code that its exported file may lack.

    `lines` are the lines of the user's code that the older exporter replaced by their result for one input. `sizes` are
    (axis, size) for which the code may take another branch than the file.
    """

    lines: list[str] = field(default_factory=list)
    sizes: list[tuple[str, int]] = field(default_factory=list)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("weights", "weights_record", "interface", "samples", "record")
    arguments = parser(__doc__, *common, output="ONNX file to write")
    arguments.add_argument("--inputs", help="what config.yaml states of the inputs and outputs, for the record")
    arguments.add_argument("--opset", type=int, required=True, help="ONNX opset that the runtimes of all targets read")
    add_planned(arguments, "torch_version", "onnxscript_version", "onnxslim_version")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Export the checkpoint, check the ONNX file, compare its answers with PyTorch's, and write its record."""
    weights, contract = read_json(arguments.weights_record), Contract.read(arguments.interface)
    samples = read_samples(arguments.samples)
    network = ServedNetwork(load_model(arguments.weights, weights), contract)
    require_batch_independence(network, contract, samples)
    answers_in = dtypes_of(network, samples[0])
    for tensor in contract.outputs:
        if answers_in[tensor.name] != tensor.dtype:
            progress(
                f"  the network answers with {tensor.name} in {answers_in[tensor.name]}; the exported graph casts it "
                f"to {tensor.dtype}, which is served"
            )
    with atomic_write_together([arguments.output, data_file(arguments.output)]) as (partial, _):
        left_out = exported(network, contract, samples, arguments.opset, partial)
        for line in left_out.lines:
            progress(f"  CAUTION: the exporter replaced Python code by its result for one batch, in {line}")
        require_valid(partial, contract)
        agreement = compare_with_pytorch(network, contract, samples, partial, left_out)
        as_written = onnx_files.session_of(external_data.read(partial), partial.parent)
        distances = onnx_files.require_batch_independence(as_written, contract, samples, IN_32_BITS)
    about = onnx_files.described(arguments.output)
    record = {
        **about_weights(arguments, weights),
        "variant": "fp32",
        **about,
        "fp32_bytes": about["bytes"],
        "interface": contract.interface(),
        "answers_in": answers_in,
        "operators": operators_of(external_data.read(arguments.output)),
        "calibration": None,
        "agreement": agreement,
        "batch_independence": distances,
        "versions": {"torch": torch.__version__, "onnx": onnx.__version__, "python": platform.python_version()},
    }
    write_json(arguments.record, record)
    worst = max(figures.get("relative_error", 0.0) for figures in agreement.values())
    progress(
        f"  opset {record['opset']}, {record['nodes']} nodes, {record['bytes'] / 1e6:.0f} MB; relative error to "
        f"{runtime_of(network.network)} at most {worst:.1e} at {', '.join(agreement)}"
    )


def exported(network: ServedNetwork, contract: Contract, samples: list[Tensors], opset: int, path: Path) -> LeftOut:
    """Export the network to the ONNX file `path`, and return the parts of its code that the file may lack.

    The graph of a user's ONNX file is taken over instead, and lacks nothing. Raises SlipwayError, with the operator or
    line, if the network cannot be exported or fixes the size of a dynamic axis.
    """
    if isinstance(network.network, GraphNetwork):
        if note := take_graph(network, contract, samples[0], opset, path):
            progress(f"  {note}")
        return LeftOut()
    with frozen_lines() as lines:
        try:
            sizes = export(network, contract, samples, opset, path)
        except Exception as error:  # PyTorch and its libraries raise many types
            print(without_colours(traceback.format_exc()), file=sys.stderr)
            if failure := of_system(error):
                raise failure from None
            raise SlipwayError(why_not_exported(error, network, opset)) from None
    if not external_data.read(path).graph.input:
        raise SlipwayError(f"the exported file has no input: {why_answers_differ(lines, network.network, opset)}")
    require_dynamic_axes(network, contract, samples, path)
    return LeftOut(lines, sizes)


def require_valid(path: Path, contract: Contract) -> None:
    """Raise SlipwayError unless an exported file is valid ONNX, and its tensors fit the contract."""
    with explained_by(
        lambda error: (
            f"the exported file is not sound ONNX ({first_sentence(error)}), a defect of its exporter; find "
            "the named part of the network, and write this part with other operators"
        )
    ):
        onnx.checker.check_model(str(path), full_check=True)
    onnx_files.require_served_tensors(external_data.read(path), contract)


def compare_with_pytorch(
    network: ServedNetwork, contract: Contract, samples: list[Tensors], path: Path, left_out: LeftOut
) -> dict[str, dict]:
    """Compare the ONNX file in ONNX Runtime with PyTorch. Raise SlipwayError if an agreement is poor.

    Returns {size of the inputs in words: agreement, the dict of `compare_requests`}. Real samples and very different
    samples are compared, since the network's code may make decisions by their values. `left_out` has further sizes to
    compare.
    """
    answer = onnx_files.answering(session_of_file(path, network), contract)
    agreements = {}
    for words, requests in requests_by_size(contract, samples, left_out.sizes):
        references = [answers_of(network, contract, inputs) for inputs in requests]
        try:
            agreements[words] = compare_requests(references, list(map(answer, requests)), contract)
            problem = poor(agreements[words])
        except Exception:  # a shape that is fixed in the file, or any other error of ONNX Runtime
            traceback.print_exc()
            problem = "ONNX Runtime cannot run it; the log says why"
        if problem:
            raise SlipwayError(
                f"the exported file answers differently from {runtime_of(network.network)} at {words} ({problem}): "
                f"{why_it_differs(network, left_out, words, onnx_files.opset_of(external_data.read(path)))}"
            )
    return agreements


def why_it_differs(network: ServedNetwork, left_out: LeftOut, words: str, opset: int) -> str:
    """Explain why the exported file answers otherwise than the network, with the remedy.

    `words` names the compared requests, as `requests_by_size` yields, such as "batch 5". If it names a size in
    `left_out`, a decision of the network's code is the cause. `opset` is the file's opset.
    """
    if isinstance(network.network, GraphNetwork):
        return f"its graph means something else at opset {opset}; export the model to ONNX with this opset"
    if words in (f"{name} {size}" for name, size in left_out.sizes):
        return (
            f"its code decides by the size of {words.split()[0]} (an `if` or a loop), and the file has one branch "
            "alone; let it compute every size in one way, with torch.where or a mask in place of the decision, or keep "
            "to sizes with the same decision in `axes` of config.yaml"
        )
    if types := other_types(network.network):
        return (
            f"its weights are {' and '.join(types)}, in which PyTorch rounds otherwise than other runtimes; let the "
            "factory return it in float32 (no .half()): the precisions of the targets make engines in fewer bits"
        )
    return why_answers_differ(left_out.lines, network.network, opset)


def requests_by_size(
    contract: Contract, samples: list[Tensors], further: Iterable[tuple[str, int]] = ()
) -> Iterator[tuple[str, list[Tensors]]]:
    """Yield (words, requests): requests at several sizes of each axis, then real samples, then unlike samples.

    The words name the size or the kind of the requests. `further` are additional (axis, size) to compare.
    """
    sizes = [(BATCH, batch) for batch in CHECKED_BATCHES if contract.batched]
    sizes += [(name, size) for name, axis in contract.axes.items() for size in axis.ends]
    for name, size in dict.fromkeys([*sizes, *further]):
        batch, axes = (size, {}) if name == BATCH else (2, {name: size})
        yield f"{name} {size}", [batch_of(contract, samples, batch, axes)]
    yield "samples", samples
    yield "other values", batch_neighbours(contract, samples)


def session_of_file(path: Path, model: torch.nn.Module) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on the CPU for the exported file of the network `model`.

    Raises SlipwayError if ONNX Runtime lacks an operator or type of the file. If the dtypes of the network's weights
    may be the cause, the message says so.
    """

    def why_not(error: Exception) -> str:
        weights = other_types(model)
        advice = "write that part of the network with other operators"
        if weights or re.search(r"float16|double", str(error)):
            advice = "let it compute in float32 (no .double(), .half() or autocast)"
            advice += f": its weights are {' and '.join(weights)}" if weights else ""
        return f"ONNX Runtime cannot run the exported file ({first_sentence(error)}), so it is unverified; {advice}"

    with explained_by(why_not):
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def poor(agreement: dict) -> str | None:
    """Return in words why the answers of an exported file do not agree with PyTorch's; None if they agree.

    `agreement` is the dict of `compare_requests`.
    """
    if not agreement.get("relative_error", 0.0) <= MAX_RELATIVE_ERROR:  # NaN is no agreement
        return f"relative error {agreement['relative_error']:.2e}, allowed {MAX_RELATIVE_ERROR:.0e}"
    if not agreement.get("equal_values", 1.0) >= MIN_EQUAL_VALUES:
        return f"{agreement['equal_values']:.2%} of the integers and truth values are equal"
    if "other_sizes" in agreement:
        return f"an output has the shape {agreement['other_sizes']}"
    return None


if __name__ == "__main__":
    run(main, parse_arguments())
