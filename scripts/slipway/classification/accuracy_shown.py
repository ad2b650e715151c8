"""Print the accuracies of engines and checkpoints in a few lines."""

from pathlib import Path

from slipway.benchmark import metric
from slipway.benchmark.agreement import figures_in_words
from slipway.core.cli import progress
from slipway.core.templates import document

# This module only prints results, so its code is in no key: see `keys/code_hash.py`.
PART_OF_KEYS = False


def show_engine(record: dict) -> None:
    """Print an engine's agreement with PyTorch, and its accuracy on labelled photographs.

    `record` is the engine's accuracy record, which check_accuracy.py writes.
    """
    _show(Path(__file__).with_name("engine_accuracy.txt.j2"), record)


def show_checkpoint(record: dict) -> None:
    """Print a checkpoint's accuracy on labelled photographs, and the warnings in its record.

    Also print the rules by which the folders of photographs were matched with classes, such as by name or by index.
    `record` is the checkpoint's accuracy record, which evaluate_checkpoint.py writes.
    """
    _show(Path(__file__).with_name("checkpoint_accuracy.txt.j2"), record)


def _show(template: Path, record: dict) -> None:
    for line in document(template, record, figures=figures_in_words, metric=metric.in_words).splitlines():
        progress(line)
