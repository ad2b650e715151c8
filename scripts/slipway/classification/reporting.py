"""The report page's part for classifiers: accuracy on labelled photographs, and sample photographs."""

from pathlib import Path

from slipway.classification import paired_accuracy
from slipway.contract.contract import Tensor

FOLDER = Path(__file__).parent
TEMPLATE, SAMPLES = "report.html.j2", "samples.html.j2"


def values_in_words(output: Tensor) -> str:
    """Return the number of values of an output (batch, values) in words, such as "1000 classes"."""
    count = output.shape[-1]
    if count == 1:
        return "one output"
    return f"{count} {'classes' if output.known_meaning.has_classes else 'output values'}"


def proof_in_words(figures: dict) -> str:
    """Return in words the accuracy of the engine and of PyTorch on labelled photographs.

    `figures` is "evaluation" of the engine's accuracy record, with the keys of `engine_on_labels.figures_on_labels`.
    """
    return (
        f"top-1 {figures['engine']['top1']:.1%} on {figures['labelled']} labelled photographs, the model's own "
        f"{figures['pytorch']['top1']:.1%}"
    )


def is_kept(figures: dict) -> bool:
    """Return whether the engine is right as often as PyTorch, or less often only within the noise of the measurement.

    `figures` is "evaluation" of the engine's accuracy record.
    """
    gained, noise = paired_accuracy.difference(figures)
    return gained >= 0 or noise == paired_accuracy.WITHIN


def kept_in_words(figures: dict) -> str:
    """Return in words how accuracy changed, such as "accuracy kept (84.8% against 85.2%, within the noise)".

    `figures` is "evaluation" of the engine's accuracy record.
    """
    gained, noise = paired_accuracy.difference(figures)
    both = f"{figures['engine']['top1']:.1%} against {figures['pytorch']['top1']:.1%}"
    return f"accuracy {'kept' if is_kept(figures) else 'lower'} ({both}{f', {noise}' if gained else ''})"


def figure_of(figures: dict) -> tuple[str, str, str]:
    """Return three texts for the report: an engine's top-1 accuracy, "top-1 accuracy", and PyTorch's accuracy in words.

    `figures` is "evaluation" of the engine's accuracy record.
    """
    theirs = f"the model itself: {figures['pytorch']['top1']:.1%}; {paired_accuracy.in_words(figures)}"
    return f"{figures['engine']['top1']:.1%}", "top-1 accuracy", theirs


def noise_in_words(figures: dict) -> str:
    """Return a sentence about how exact an engine's top-1 accuracy is: its 99 % interval.

    The sentence also has PyTorch's accuracy, and the test of the difference. `figures` is "evaluation" of the engine's
    accuracy record.
    """
    low, high = paired_accuracy.interval(figures["engine"]["top1"], figures["labelled"])
    return (
        f"The engine's top-1 accuracy is {figures['engine']['top1']:.1%} on {figures['labelled']} photographs (99 % "
        f"interval {low:.1%} to {high:.1%}, Wilson 1927), the model's own {figures['pytorch']['top1']:.1%}: "
        f"{paired_accuracy.in_words(figures)}. Both saw the same photographs, so the difference is judged by the sign "
        f"test (McNemar 1947) at {paired_accuracy.CHANCE:.0%}"
    )


def preprocessing_in_words(preprocess: dict) -> str:
    """Return the preprocessing in words, such as "short side 232 pixels (bilinear), centre 224 x 224, ...".

    `preprocess` has all keys of `preprocess` in config.yaml.
    """
    mean, std = (", ".join(f"{value:g}" for value in preprocess[name]) for name in ("mean", "std"))
    side = preprocess["crop"]
    return (
        f"short side {preprocess['resize']} pixels ({preprocess['interpolation']}), centre {side} x {side}, then "
        f"(value / 255 - mean) / std with mean {mean} and std {std}"
    )
