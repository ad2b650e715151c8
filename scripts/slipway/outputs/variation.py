"""Check that a model's answers depend on its input. If all answers are equal, a comparison proves nothing."""

from collections.abc import Mapping, Sequence

import numpy as np

from slipway.core.errors import SlipwayError

# Smaller differences, relative to the size of the answers, can come from rounding alone.
ROUNDING = 1e-5


def variation(outputs: np.ndarray) -> float:
    """Return how much the outputs for several samples differ, relative to their size; 0 if all are equal.

    `outputs` (samples, values) has one output of each sample. The result is the norm of the outputs minus their mean,
    divided by the norm of the outputs.
    """
    values = outputs.astype(np.float64)
    size = np.linalg.norm(values)
    return float(np.linalg.norm(values - values.mean(axis=0)) / size) if size else 0.0


def variations(answers: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Return {name of the output: its `variation` over several samples}; {} if there is only one sample.

    `answers` has {output: array} for each sample. Arrays of different shapes are compared in their common part. An
    output without a common part is left out.
    """
    if len(answers) < 2:
        return {}
    by_output = {name: stacked([answer[name] for answer in answers]) for name in answers[0]}
    return {name: variation(values) for name, values in by_output.items() if values.size}


def errors_of_variation(
    references: Sequence[Mapping[str, np.ndarray]], answers: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float]:
    """Return {name of the output: error}: whether an engine's answers differ from sample to sample as they should.

    An error of 0 means that the answers vary exactly as the references do. An error of 1 means that they are as wrong
    as equal answers to every input. `references` are the answers of the baseline, such as PyTorch, and `answers` those
    of the engine. Each has {output: array} for each sample.
    """
    errors = {}
    for name in references[0]:
        both = stacked([answer[name] for answer in [*references, *answers]])
        expected, actual = (half - half.mean(axis=0) for half in np.split(both, 2))
        size = np.linalg.norm(expected)
        errors[name] = float(np.linalg.norm(actual - expected) / size) if size else 0.0
    return errors


def require_variation(answers: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Raise SlipwayError if no output depends on the sample.

    `answers` has {output: array} for each of several very different samples.
    """
    varies = variations(answers)
    if not varies or max(varies.values()) >= ROUNDING:
        return
    if not any(output.any() for answer in answers for output in answer.values()):
        raise SlipwayError(
            "the model answers with zeros, whatever it is shown: its last layer starts at zero and was never trained "
            "(a Vision Transformer's does), so no engine can be compared with it; give trained weights as `weights` in "
            "config.yaml"
        )
    raise SlipwayError(
        f"the model gives the same answer whatever it is shown (its answers to {len(answers)} samples, noise among "
        f"them, differ by {max(varies.values()):.0e} of their size), so no engine can be compared with it; look at the "
        "checkpoint and at its samples or `preprocess` in config.yaml"
    )


def weakness(varies: Mapping[str, float], limits: Mapping[str, float], baseline: str = "PyTorch") -> str | None:
    """Return a warning if the model's own answers vary so little that a comparison with them proves little, else None.

    `varies` is {output: its variation over the samples}, as `variations` returns it. `limits` are the limits of the
    comparison, of which only "max_relative_error" is used. `baseline` names the runtime that computed the model's own
    answers.
    """
    limit = limits["max_relative_error"]
    weak = {name: value for name, value in varies.items() if value <= limit}
    if not weak:
        return None
    there = f" in {' and '.join(weak)}" if len(varies) > 1 else ""
    return (
        f"{baseline}'s answers to the samples differ{there} by {max(weak.values()):.1e} of their size, not more than "
        f"the limit of {limit:g} (max_relative_error), so a model with one answer for everything would pass{there}, "
        "too; name other samples (`image` or `samples`) in config.yaml, which the model answers more differently"
    )


def stacked(outputs: list[np.ndarray]) -> np.ndarray:
    """Return arrays as one float64 array (number of arrays, values).

    Each array is first cut to the sizes that all arrays have, and then flattened.
    """
    common = tuple(slice(min(sizes)) for sizes in zip(*(output.shape for output in outputs), strict=True))
    return np.stack([output[common].astype(np.float64).ravel() for output in outputs])
