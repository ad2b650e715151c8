"""The part of the report page for classifiers: the accuracy on labelled photographs."""

from pathlib import Path

from slipway.contract.contract import Tensor

FOLDER = Path(__file__).parent
TEMPLATE = "report.html.j2"


def values_in_words(output: Tensor) -> str:
    """Return the number of values of an output (batch, values), such as "1000 classes" or "3 output values"."""
    count = output.shape[-1]
    if count == 1:
        return "one output"
    return f"{count} classes" if output.meaning and output.meaning.has_classes else f"{count} output values"


def proof_in_words(figures: dict) -> str:
    """Return in words the engine's and PyTorch's accuracy on labelled photographs."""
    return (
        f"top-1 {figures['engine']['top1']:.1%} on {figures['labelled']} labelled photographs, the model's own "
        f"{figures['pytorch']['top1']:.1%}"
    )
