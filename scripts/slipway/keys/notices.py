"""Notices about a resolved configuration: automatic decisions, and facts that could not be verified."""

from slipway.classification.published import as_written, published_weights
from slipway.keys import version_lock
from slipway.keys.resolved_config import ResolvedConfig


def notices(resolved: ResolvedConfig) -> list[str]:
    """Return a sentence for each automatic decision and for each fact that could not be verified."""
    decided = [
        f"target {target}: runtime auto is {resolved.runtime(target)} ({_why(resolved, target)})"
        for target in resolved.targets
        if resolved.config["targets"][target]["runtime"] == "auto"
    ]
    triton = resolved.config["triton"]
    locks = [
        version_lock.notice(target, resolved.runtime_version("tensorrt", target), triton)
        for target in resolved.locked_targets()
    ]
    preprocessing = [_published_notice(resolved.config["models"][model], model) for model in resolved.models]
    return decided + [notice for notice in [*locks, *preprocessing] if notice]


def _why(resolved: ResolvedConfig, target: str) -> str:
    if resolved.runtime(target) == "tensorrt":
        return f"TensorRT {resolved.runtime_version('tensorrt', target)} and {resolved.hardware(target)}"
    return "no TensorRT with a GPU is here"


def _published_notice(settings: dict, model: str) -> str | None:
    """Return a sentence if a model's preprocessing differs from the published one of its weights, else None."""
    if settings["samples"] is not None:
        return None
    weights = published_weights(settings["architecture"], settings["weights"])
    differences = weights.differences(settings["preprocess"]) if weights else {}
    if not differences:
        return None
    return (
        f"model {model}: `models.{model}.preprocess` differs from the preprocessing that {weights} were published "
        f"with, which may cost accuracy; the published one has preprocess: {as_written(differences)}"
    )
