"""Classify photographs with a served model: read photographs, send batches, interpret scores."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from slipway.classification import label_files
from slipway.classification.client import ask, assumed_meaning
from slipway.classification.images import Preprocessing, load_image
from slipway.classification.predictions import Predictions
from slipway.classification.served_classifier import Classifier
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning
from slipway.triton.client.connection import Connection, RequestFailed
from slipway.triton.client.shared_memory import SharedBatch


@dataclass(frozen=True)
class Classification:
    """The settings of a classification: the model, its preprocessing, the batch size, and the form of the answers.

    `labels` are the class names; [] if they are not known. `stated` is the meaning of the outputs in --output-meaning,
    or None. `top` is the number of classes to show. With `strict`, the first photograph without an answer raises an
    error.
    """

    classifier: Classifier
    preprocess: Preprocessing
    batch: int
    labels: list[str]
    stated: str | None
    top: int
    strict: bool

    @property
    def batch_bytes(self) -> int:
        """Return the size of a full batch in bytes."""
        return self.batch * 3 * self.preprocess.crop**2 * np.dtype(self.classifier.dtype).itemsize


def require_same_meaning(classifier: Classifier, stated: str | None) -> str | None:
    """Return `stated`, the meaning in --output-meaning, or None without this option.

    Raises SlipwayError if the server states another meaning.
    """
    if classifier.meaning and stated not in (None, classifier.meaning.kind):
        raise SlipwayError(
            f"--output-meaning {stated} contradicts the server: the outputs of {classifier.name} are "
            f"{classifier.meaning.in_words}; leave it out"
        )
    return stated


def read_labels(path: Path, classifier: Classifier) -> list[str]:
    """Return the class names in the user's label file. Raise SlipwayError unless their number fits the classifier.

    A classifier has one name per class. A classifier with a single output may have two names.
    """
    if not path.is_file():
        raise SlipwayError(f"--labels {path} is no file; correct the path")
    labels = label_files.read_labels(path).names
    if classifier.classes not in (None, len(labels)) and (classifier.classes, len(labels)) != (1, 2):
        raise SlipwayError(
            f"--labels {path} has {len(labels)} names, but {classifier.name} has {classifier.classes} classes; "
            "give the file that it was trained with"
        )
    return labels


def meaning_of(settings: Classification, scores: np.ndarray) -> Meaning:
    """Return the meaning of scores (N, classes): the server's, or else the stated one, or else an assumption.

    For a single output with two labels, the first label names the negative class.
    """
    meaning = settings.classifier.meaning or assumed_meaning(scores, settings.stated)
    is_yes_or_no = (scores.shape[1], len(settings.labels)) == (1, 2)
    return replace(meaning, negative=settings.labels[0]) if is_yes_or_no else meaning


def classify(
    connection: Connection,
    settings: Classification,
    files: list[Path],
    predictions: Predictions,
    shared: SharedBatch | None,
) -> Iterator[list[dict]]:
    """Send the photographs in batches, and yield the answers of each batch as soon as they have arrived.

    The answers are the new entries of `predictions`, as `Predictions.add` returns them. `shared` is shared memory for
    the batches; None if requests contain them. Photographs without an answer become failures in `predictions`.
    """
    for group in batched(read_inputs(files, settings, predictions), settings.batch):
        sent = [file for file, _ in group]
        try:
            scores, request = ask(connection, settings.classifier, np.stack([picture for _, picture in group]), shared)
        except RequestFailed as error:
            if settings.strict:
                raise
            predictions.fail(sent, error)
        else:
            meaning = meaning_of(settings, scores)
            yield predictions.add(sent, scores, meaning, settings.labels, settings.top, request)


def read_inputs(
    files: list[Path], settings: Classification, predictions: Predictions
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield (file, input (3, side, side) of the model's dtype) for each photograph that can be read.

    A broken file becomes a failure in `predictions`. With `strict`, a broken file raises SlipwayError.
    """
    for file in files:
        try:
            yield file, settings.preprocess(load_image(file), settings.classifier.dtype)
        except SlipwayError as error:
            if settings.strict:
                raise
            predictions.fail([file], error)


def batched(items: Iterable, size: int) -> Iterator[list]:
    """Yield lists of `size` items. The last list may be shorter. Items are read only when their list is made."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
