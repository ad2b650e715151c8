"""Compare an engine's answers with PyTorch's on samples and evaluation data. Fail if a limit is broken."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from slipway.benchmark import metric
from slipway.benchmark.agreement import compare, compare_requests, violations
from slipway.benchmark.batch_independence import batch_distances, dependence, tolerance_of
from slipway.benchmark.evaluation import Evaluation, evaluated
from slipway.benchmark.evaluation_data import add_evaluation_data, evaluation_data
from slipway.classification import engine_on_labels
from slipway.classification.accuracy_shown import show_engine
from slipway.contract.contract import Contract, Tensors
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import write_json
from slipway.core.cli import parser, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.core.readable import readable
from slipway.engines.engine_artifact import BuiltEngine
from slipway.keys.optimization_profiles import unsupported_batches
from slipway.outputs.hidden_parts import hidden_parts
from slipway.outputs.presentation import record_of
from slipway.outputs.variation import ROUNDING, errors_of_variation, variations, weakness

Answering = Callable[[Tensors], Tensors]
LIMITS = ("min_cosine", "max_relative_error", "min_top1_agreement", "max_top1_drop")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "engine_record", "output")
    add_comparison(arguments)
    arguments.add_argument("--tensorrt-python", help="interpreter that has TensorRT; left out, this one")
    return arguments.parse_args(argv)


def add_comparison(arguments: argparse.ArgumentParser) -> None:
    """Add the options for the data and the limits of a comparison with PyTorch."""
    arguments.add_argument("--reference", type=Path, required=True, help="reference outputs (.npz), with the contract")
    arguments.add_argument("--labels", type=Path, required=True, help="names of output values, one a line")
    arguments.add_argument("--evaluation", type=Path, nargs="?", help="PyTorch's answers to the evaluation data (.npz)")
    add_evaluation_data(arguments)
    arguments.add_argument("--min-cosine", type=float, required=True, help="lowest cosine similarity of outputs")
    arguments.add_argument("--max-relative-error", type=float, required=True, help="highest norm of error / outputs")
    arguments.add_argument("--min-top1-agreement", type=float, required=True, help="lowest share of equal decisions")
    arguments.add_argument("--min-top1", type=float, help="lowest top-1 accuracy of PyTorch and the engine")
    arguments.add_argument("--max-top1-drop", type=float, required=True, help="highest loss of top-1 accuracy")


def main(arguments: argparse.Namespace) -> None:
    """Compare an engine with PyTorch on reference samples, then on evaluation data, and write the figures.

    Raises SlipwayError if the figures break a limit.
    """
    built, reference = BuiltEngine.of_record(arguments.engine_record), ReferenceOutputs.read(arguments.reference)
    limits = {name: getattr(arguments, name) for name in LIMITS}
    require_interface(built.record, reference.contract)
    with built.loaded(arguments.tensorrt_python) as engine:
        answer = built.answering(engine)
        record = {
            "origin": built.record["origin"],
            "key": settings_of(arguments),
            "engine_key": built.record["key"],
            "baseline": reference.contract.baseline,
            "limits": limits,
            "outputs": {
                tensor.name: tensor.meaning and tensor.meaning.record() for tensor in reference.contract.outputs
            },
            **on_reference_samples(answer, reference, built.profiles, limits, arguments.labels),
            **on_evaluation_data(arguments, answer, reference.contract),
        }
    if problems := problems_of(record, arguments):
        precision = built.record["key"]["precision"]
        model = arguments.engine_record.name.removesuffix(f".{precision}.engine.json")
        diagnose = (
            f"`snakemake --cores 1 diagnose_{model}` names the layers where its error begins, and a list of layers to "
            "leave in a higher precision. Or leave"
        )
        raise SlipwayError(
            f"the {precision} engine is not accurate enough: {'; '.join(problems)}. "
            f"{'Leave' if precision == 'fp32' else diagnose} this precision out of `targets.*.precisions`, or change "
            "`accuracy.limits` in config.yaml"
        )
    write_json(arguments.output, record)
    show_engine(record)


def require_interface(record: dict, contract: Contract) -> None:
    """Raise SlipwayError if an engine was made for other inputs and outputs than the model now has.

    `record` is the build record of the engine; `contract` describes the model's present inputs and outputs. If
    config.yaml does not state the dtypes and sizes of samples, planning does not notice such a change.
    """
    if record["interface"] != contract.interface():
        raise SlipwayError(
            "the engine was made for other inputs and outputs than the model has now, since its samples have other "
            "dtypes or sizes; run `snakemake --cores 1 evidence --forcerun export_onnx`"
        )


def on_reference_samples(
    answer: Answering, reference: ReferenceOutputs, profiles: list[dict], limits: dict[str, float], names_file: Path
) -> dict:
    """Compare an engine's answers to the reference samples with PyTorch's. Return entries of the record.

    The entries are "sample": agreement on the first sample (see `compare`); "batch_independence": the distances of
    `batch_distances`; "variation": the dict of `following`; "hidden_parts": sentences (see `hidden_parts`); "answers":
    a dict of `record_of` for each sample. `answer` runs the engine. `profiles` are its optimization profiles: no other
    batch size is tried; [] allows all. `limits` are `accuracy.limits` of its precision. `names_file` has the names of
    an output's values, one a line. Raises SlipwayError if an output has another dtype than the contract states.
    """
    answers, names = list(map(answer, reference.inputs)), names_file.read_text(encoding="utf-8").splitlines()
    require_dtypes(reference.contract, answers[0])
    return {
        "sample": compare(reference.request.outputs, answers[0], reference.contract),
        "batch_independence": batch_distances(
            answer, reference.contract, reference.inputs, lambda size: not unsupported_batches(profiles, [size])
        ),
        "variation": following(reference.outputs, answers, limits, reference.contract.baseline),
        "hidden_parts": hidden_parts(
            reference.contract.outputs, reference.outputs, answers, limits["max_relative_error"]
        ),
        "answers": [record_of(outputs, reference.contract, names) for outputs in answers],
    }


def on_evaluation_data(arguments: argparse.Namespace, answer: Answering, contract: Contract) -> dict:
    """Compare an engine's answers to the evaluation data with PyTorch's. Return entries of the record.

    The entries are "evaluation": agreement (see `compare_requests`), with both accuracies if the true answers are
    known; "samples_sha256": the digest of the data; "metric": {"pytorch", "engine"}, the values of the user's metric,
    or None without one; "proven_on_labels": whether the true answers are known. Without evaluation data, "evaluation"
    and "metric" are None. `answer` runs the engine. Raises SlipwayError if PyTorch's answers belong to other data.
    """
    samples = evaluation_data(arguments, contract)
    if samples is None:
        return {"evaluation": None, "metric": None, "proven_on_labels": False}
    pytorch, engine = Evaluation.read(arguments.evaluation, contract), evaluated(answer, contract, samples)
    pytorch.require_same_samples(engine)
    figures = compare_requests(pytorch.answers, engine.answers, contract)
    if arguments.labelled:
        figures |= engine_on_labels.figures_on_labels(contract, pytorch, engine)
    values = metric.measure(arguments.metric, engine.answers, samples, arguments.metric_limits)
    return {
        "evaluation": figures,
        "samples_sha256": engine.samples_sha256,
        "metric": {"pytorch": pytorch.facts["metric"], "engine": values} if values else None,
        "proven_on_labels": bool(figures.get("labelled")),
    }


def require_dtypes(contract: Contract, outputs: Tensors) -> None:
    """Raise SlipwayError if the engine's answer has another floating-point dtype than the contract states.

    `outputs` is the answer, {output: array}. Integers may have another dtype.
    """
    for tensor in contract.outputs:
        dtype = outputs[tensor.name].dtype
        if np.issubdtype(tensor.dtype, np.floating) and dtype != tensor.dtype:
            raise SlipwayError(
                f"the engine answers {tensor.name} in {dtype}, where {tensor.dtype} is served: its ONNX file is not "
                "Slipway's"
            )


def following(
    references: list[Tensors], answers: list[Tensors], limits: dict[str, float], baseline: str = "PyTorch"
) -> dict:
    """Find out whether an engine's answers vary over the reference samples as PyTorch's do. Return figures.

    They are {"variation", "error", "outputs", "weakness"}. "outputs" is {output: {"variation": of PyTorch's answers,
    "error"}}. An error is 0 if the engine's answers vary as PyTorch's do, and 1 if the engine's answers are no better
    than equal answers. "error" is the largest error of the outputs whose variation is below the limits, or else of all
    outputs. An output that never varies, such as a table of positions, is ignored if another output varies. "variation"
    is the smallest variation. "weakness" is the result of `weakness`: a sentence if the variation is too small to prove
    much, else None.
    """
    varies = variations(references)
    finite = all(np.isfinite(output).all() for answer in answers for output in answer.values())
    errors = errors_of_variation(references, answers) if finite else {}
    varying = [name for name in varies if varies[name] >= ROUNDING] or list(varies)
    weak = [name for name in varying if varies[name] <= limits["max_relative_error"]]
    return {
        "variation": min(varies.values(), default=None),
        "error": max((errors[name] for name in weak or varying if name in errors), default=None),
        "outputs": {name: {"variation": varies[name], "error": errors.get(name)} for name in varies},
        "weakness": weakness(varies, limits, baseline),
    }


def variation_problems(record: dict) -> list[str]:
    """Return a sentence if the engine's answers are no nearer to PyTorch's than one answer for all samples, else [].

    `record` has the entries that `main` writes. The check is skipped for random weights, and if the limits can show
    this error themselves.
    """
    error = record["variation"]["error"] or 0
    if not record["variation"]["weakness"] or record["origin"] == "rehearsal" or error < 1:
        return []
    return [
        f"its answers to the samples differ otherwise than the model's own, by {readable(error, 2)} times their "
        "difference, so one answer for everything would be as near"
    ]


def problems_of(record: dict, arguments: argparse.Namespace) -> list[str]:
    """Return a sentence for each limit that the figures of an engine break; [] if there are none.

    `record` has the entries that `main` writes. `arguments` has the limits that are not in the record.
    """
    limits, figures, metrics = record["limits"], record["evaluation"], record["metric"]
    problems = violations(record["sample"], limits) + variation_problems(record)
    if problem := dependence(record["batch_independence"], tolerance_of(limits)):
        problems.append(f"{problem}, and Triton puts the requests of several clients into one batch")
    if figures:
        problems += violations(figures, limits)
    if figures and "labelled" in figures:
        problems += engine_on_labels.dropped(figures, limits["max_top1_drop"])
        problems += engine_on_labels.below_floor(figures, arguments.min_top1)
    return problems + (metric.broken(metrics["engine"], arguments.metric_limits) if metrics else [])


if __name__ == "__main__":
    run(main, parse_arguments())
