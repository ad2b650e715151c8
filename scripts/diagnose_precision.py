"""Find the layers where the error of a precision begins, and the layers to leave out to make it accurate enough.

The precision's ONNX file is made again in memory, and computed on a CPU with the precision's rounding. Its tensors are
compared with the tensors of the FP32 file on real samples. The proposed list is proven in the same way: a file with the
listed layers in a higher precision is made, and its answers hold `accuracy.limits` against PyTorch's answers.
"""

import argparse
import heapq
import math
import shlex
import textwrap
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import onnx
import yaml

import cast_onnx
import quantize_onnx
from check_accuracy import LIMITS, add_comparison, on_evaluation_data, on_reference_samples, problems_of
from slipway.benchmark.agreement import compare
from slipway.contract.archives import read_samples
from slipway.contract.batches import rows
from slipway.contract.contract import Contract, Tensors
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import explained_by
from slipway.core.job_settings import settings_of
from slipway.diagnosis.layers import LayerError, beginnings
from slipway.diagnosis.proposal import Search, Variant, search
from slipway.networks.user_code import first_sentence
from slipway.onnx import external_data
from slipway.onnx.layers import nodes_named
from slipway.onnx.modelopt import base_record, require_modelopt, scratch_folder
from slipway.onnx.onnx_files import answering, session_of
from slipway.onnx.precision_emulation import emulated

CAST = ("fp16", "bf16")
# The most layers that the record names, and the most evaluation samples whose tensors are compared.
NAMED, WORST = 10, 4
# A layer that adds less error than this share of `max_relative_error` is not named.
NOISE = 0.1


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "model", "onnx_record", "samples", "samples_record", "output", onnx="FP32 ONNX file")
    variants = sorted([*CAST, *quantize_onnx.VARIANTS, quantize_onnx.FOR_ONNXRUNTIME])
    arguments.add_argument("--variant", choices=variants, required=True, help="precision to diagnose")
    arguments.add_argument("--conversion", default="", help="options of cast_onnx or quantize_onnx, as one text")
    arguments.add_argument("--conversion-files", default="", help="likewise those with its files")
    arguments.add_argument(
        "--takes-list",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether engines are built from this file; else their runtime lowers the FP32 file as a whole",
    )
    add_comparison(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Search, write the record, and show the layers where the error begins and the list of layers to leave out."""
    require_modelopt()
    exported, reference = base_record(arguments), ReferenceOutputs.read(arguments.reference)
    base = external_data.read(arguments.onnx)
    worst = Worst(answering(session_of(base, arguments.onnx.parent), reference.contract), reference.contract)
    with scratch_folder() as folder:
        convert, configured = conversion_of(arguments, base, exported, folder)

        def build(left_out: list[str]) -> Variant:
            exact = folder / "exact.onnx"
            external_data.write(emulated(convert(left_out), folder), exact, folder)
            exact = external_data.read(exact)
            with explained_by(why_not):
                answer = answering(session_of(exact, folder), reference.contract)
            return Variant(exact, folder, left_out, problems(arguments, exported, reference, answer, worst))

        result = search((base, arguments.onnx.parent), build, lambda: [*reference.inputs, *worst.samples], configured)
    begins_in = beginnings(result.errors, NAMED, NOISE * arguments.max_relative_error)
    write_json(arguments.output, record_of(arguments, exported, result, begins_in))
    show(arguments, result, begins_in)


def why_not(error: Exception) -> str:
    """Return the message for `error`, with which ONNX Runtime refused to load a variant on this CPU."""
    return f"ONNX Runtime's CPU kernels cannot run this precision ({first_sentence(error)}), so it is not diagnosed"


class Worst:
    """Collects the evaluation samples for which a variant's answers differ most from the FP32 file's answers."""

    def __init__(self, reference: Callable[[Tensors], Tensors], contract: Contract) -> None:
        self._reference, self._contract = reference, contract
        self._errors: list[tuple[float, Tensors]] = []

    @property
    def samples(self) -> list[Tensors]:
        """Return the inputs of the collected samples, at most WORST."""
        return [inputs for _, inputs in self._errors]

    def watching(self, answer: Callable[[Tensors], Tensors]) -> Callable[[Tensors], Tensors]:
        """Return a function like `answer` that also collects the samples with the largest relative errors.

        Samples that were collected before are removed.
        """
        self._errors = []

        def watched(inputs: Tensors) -> Tensors:
            outputs = answer(inputs)
            batches = inputs, outputs, self._reference(inputs)
            for sample, own, reference in zip(*map(self._samples_of, batches), strict=True):
                error = compare(reference, own, self._contract).get("relative_error", 0.0)
                self._errors.append((error, sample))
            self._errors = heapq.nlargest(WORST, self._errors, key=itemgetter(0))
            return outputs

        return watched

    def _samples_of(self, batch: Tensors) -> list[Tensors]:
        if not self._contract.batched:
            return [batch]
        return [rows(batch, row, row + 1) for row in range(len(next(iter(batch.values()))))]


def conversion_of(
    arguments: argparse.Namespace, base: onnx.ModelProto, exported: dict, folder: Path
) -> tuple[Callable[[list[str]], onnx.ModelProto], list[str]]:
    """Return (function that makes the variant, names of the nodes that config.yaml already leaves out of it).

    A variant is the ONNX file in the precision to diagnose. The function takes a list of the names of nodes to leave
    out, and returns the model. `base` is the model of the FP32 file, and `exported` its record. `folder` gets temporary
    files.
    """
    shared = ["onnx", "onnx_record", "samples", "variant"]
    shared += [] if arguments.variant in CAST else ["samples_record"]
    options = [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in shared]
    options += shlex.split(f"--output=unused --record=unused {arguments.conversion} {arguments.conversion_files}")
    if arguments.variant in CAST:
        cast, samples = cast_onnx.parse_arguments(options), read_samples(arguments.samples)
        configured = nodes_named(base, cast.keep_in_fp32 or [], setting_of(arguments))
        return lambda names: cast_onnx.lowered(arguments.onnx, arguments.variant, samples, names), configured
    quantize = quantize_onnx.parse_arguments(options)
    data, _ = quantize_onnx.calibration_of(quantize, Contract.of(exported["interface"]))
    configured = nodes_named(base, quantize.not_quantized or [], setting_of(arguments))

    def quantized(names: list[str]) -> onnx.ModelProto:
        quantize.not_quantized = names
        return quantize_onnx.quantized(quantize, data, exported["opset"], exported["ir_version"], folder)

    return quantized, configured


def problems(
    arguments: argparse.Namespace,
    exported: dict,
    reference: ReferenceOutputs,
    answer: Callable[[Tensors], Tensors],
    worst: Worst,
) -> list[str]:
    """Return in words the limits that a variant breaks, as check_accuracy.py finds them; [] if it holds all limits.

    `answer` runs the variant. `exported` is the record of the FP32 file. `worst` collects the samples with the worst
    answers.
    """
    limits = {name: getattr(arguments, name) for name in LIMITS}
    figures = {
        "origin": exported["origin"],
        "limits": limits,
        **on_reference_samples(answer, reference, [], limits, arguments.labels),
        **on_evaluation_data(arguments, worst.watching(answer), reference.contract),
    }
    return problems_of(figures, arguments)


def setting_of(arguments: argparse.Namespace) -> str:
    """Return the dotted key of config.yaml that lists the layers to leave out."""
    name = "keep_in_fp32" if arguments.variant in CAST else "not_quantized"
    return f"models.{arguments.model}.precisions.{arguments.variant.partition('-')[0]}.{name}"


def record_of(arguments: argparse.Namespace, exported: dict, result: Search, begins_in: list[LayerError]) -> dict:
    """Return the record of a diagnosis: the broken limits, the layers where the error begins, and the proposed list.

    `exported` is the record of the FP32 file. "proposal" is None if no list of layers was found that holds the limits.
    "setting" is the key of config.yaml for the list; None if the runtime takes no list.
    """
    return {
        "origin": exported["origin"],
        "key": settings_of(arguments),
        "variant": arguments.variant,
        "limits": {name: getattr(arguments, name) for name in LIMITS},
        "problems": result.first.problems,
        "begins_in": [error.record() for error in begins_in],
        "setting": setting_of(arguments) if arguments.takes_list else None,
        "left_out_before": result.first.left_out,
        "proposal": None if result.last.problems else result.last.left_out,
        "problems_left": result.last.problems,
        "variants_made": result.trials,
    }


def show(arguments: argparse.Namespace, result: Search, begins_in: list[LayerError]) -> None:
    """Print the layers where the error begins, `begins_in`, and how to keep the proposed layers in a higher precision.

    `result` has the proposal, which is printed as lines of config.yaml. If no list of layers was found, or if the
    runtime takes no list, the other remedy is printed. If the configured variant holds the limits, only this is said.
    """
    if not result.first.problems:
        progress(
            f"  on this CPU the {arguments.variant} file of {arguments.model} holds the limits; if an engine breaks "
            "one, its runtime or its hardware is the cause, not the file"
        )
        return
    progress(f"  {arguments.variant} of {arguments.model}: {'; '.join(result.first.problems)}")
    progress("  the error begins in")
    for error in begins_in:
        progress(f"    {error.in_words()}")
    if result.last.problems:
        progress(
            f"  no list of layers was found with which it holds the limits ({result.trials} tried, the last without "
            f"{len(result.last.left_out)} layers); leave {arguments.variant} out of `targets.*.precisions`"
        )
    elif not arguments.takes_list:
        progress(
            f"  it would hold them without {', '.join(result.last.left_out)}, but this runtime lowers the network "
            "as a whole and takes no list; leave the precision out, or change these layers of the network"
        )
    else:
        show_setting(setting_of(arguments), result.last.left_out)


def show_setting(setting: str, left_out: Sequence[str]) -> None:
    """Print the lines for config.yaml that set `setting`, a dotted key, to the list of layers `left_out`."""
    progress("  with this in config.yaml it holds the limits, as proven here on the CPU:")
    content: Any = list(left_out)
    for section in reversed(setting.split(".")):
        content = {section: content}
    # YAML's default flow style: lists in brackets. Names that YAML would misread, such as 123 or "a, b", get quotes.
    text = yaml.safe_dump(content, default_flow_style=None, allow_unicode=True, width=math.inf)
    progress(textwrap.indent(text.rstrip(), "    "))


if __name__ == "__main__":
    run(main, parse_arguments())
