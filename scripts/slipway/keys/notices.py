"""Notices about a resolved configuration: automatic decisions, and facts that could not be verified.

Snakemake prints them at the start of a run.
"""

from collections.abc import Iterator
from dataclasses import fields

from slipway.classification.planned_preprocessing import planned_preprocessing, published_preprocessing
from slipway.classification.published import as_written, differences
from slipway.core.errors import amended
from slipway.keys import version_lock
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.share_notices import share_notices
from slipway.load_test.sweep import Sweep


def notices(resolved: ResolvedConfig, builds: bool = True) -> Iterator[str]:
    """Yield a sentence for each automatic decision and for each fact that could not be verified.

    `builds`: the run builds artifacts, so it needs the files in storage, such as a checkpoint. Only then yield the
    sentences of `storage_notices`, too.
    """
    for target in resolved.targets:
        if resolved.config["targets"][target]["runtime"] == "auto":
            yield f"target {target}: runtime auto is {resolved.runtime(target)} ({_why(resolved, target)})"
    for target in resolved.locked_targets():
        built = resolved.runtime_version("tensorrt", target)
        yield from version_lock.notices(target, built, resolved.config["triton"])
    yield from share_notices(resolved.config)
    yield from _of_load_tests(resolved)
    for model in resolved.models:
        yield from _of_preprocessing(model, resolved.config["models"][model])
        yield from _of_lists(resolved, model)
    yield from storage_notices(resolved) if builds else ()


def storage_notices(resolved: ResolvedConfig) -> Iterator[str]:
    """Yield a sentence for each weights file whose storage cannot be reached, so that its local copy is used.

    Raises SlipwayError if a file does not exist in its storage or cannot be read.
    """
    for model in resolved.models:
        if address := resolved.address(model):
            with amended(f"config: `models.{model}.weights`: "):
                planned = resolved.planned_file(address)
            if planned.notice:
                yield f"model {model}: {planned.notice}"


def _why(resolved: ResolvedConfig, target: str) -> str:
    if resolved.runtime(target) == "tensorrt":
        return f"TensorRT {resolved.runtime_version('tensorrt', target)} and {resolved.hardware(target)}"
    return "no TensorRT with a GPU is here"


def _of_load_tests(resolved: ResolvedConfig) -> Iterator[str]:
    """Yield a sentence for each target whose `load_test.minutes` may be too short for all configurations to measure."""
    settings = resolved.config["load_test"]
    sweep = Sweep(**{entry.name: settings[entry.name] for entry in fields(Sweep)})
    for target in resolved.targets:
        if short := sweep.too_short_in_words(resolved.precisions(target)):
            yield f"target {target}: {short}"


def _of_lists(resolved: ResolvedConfig, model: str) -> Iterator[str]:
    """Yield a sentence for each list of layers in a model's `precisions` that has no effect.

    A list has no effect if no engine is built from an ONNX file in this precision.
    """
    built_from = {variant.partition("-")[0] for variant in resolved.variants(model)}
    for precision, lists in resolved.config["models"][model]["precisions"].items():
        if any(lists.values()) and precision not in built_from:
            yield (
                f"model {model}: `models.{model}.precisions.{precision}` changes nothing, since no target builds from "
                f"an ONNX file in {precision}; a runtime that lowers the FP32 file itself takes no list"
            )


def _of_preprocessing(model: str, settings: dict) -> Iterator[str]:
    """Yield a sentence if a model's preprocessing differs from the preprocessing that its source publishes.

    `settings` is the model's entry in config.yaml.
    """
    published = published_preprocessing(settings) if settings["samples"] is None else None
    if published and published.caveat and None in settings["preprocess"].values():
        yield f"model {model}: its preprocessing is that of {published.origin}, but {published.caveat}"
    if published and (differing := differences(published.settings, planned_preprocessing(settings))):
        yield (
            f"model {model}: `models.{model}.preprocess` differs from the preprocessing of {published.origin}, which "
            f"may cost accuracy; the published one has preprocess: {as_written(differing)}"
        )
