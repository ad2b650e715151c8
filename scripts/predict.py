"""Classify photographs with a model on a Triton server, by default on the server that `make deploy` started here."""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from slipway.classification.client import ask_labels, describe_classifier
from slipway.classification.folder_predictions import Classification, classify, read_labels, require_same_meaning
from slipway.classification.image_files import find_images
from slipway.classification.images import sample_photograph
from slipway.classification.normalisation import implausible
from slipway.classification.predictions import Predictions, conclusion, document, table
from slipway.classification.preprocessing_options import add_preprocessing
from slipway.classification.served_classifier import IMAGENET, preprocessing_of
from slipway.core.cli import parser, printable, run, unwind_when_terminated
from slipway.core.errors import SlipwayError
from slipway.deploy import client_options
from slipway.outputs.meaning import KINDS
from slipway.triton.client.connection import Connection
from slipway.triton.client.remote_model import find_model
from slipway.triton.client.shared_memory import SharedBatch


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("images", type=Path, nargs="*", help="photographs, and folders of them; none: the sample")
    server = client_options.add_server(arguments)
    server.add_argument("--output", help="the output that has the scores, of a model with several")
    sending = client_options.add_sending(arguments, "photographs")
    sending.add_argument("--shared-memory", action="store_true", help="hand pictures over in this machine's memory")
    unstated = "left out: as the server states it for its model, else as ImageNet's models have it"
    add_preprocessing(arguments, unstated)
    answers = arguments.add_argument_group("answers")
    answers.add_argument("--top", type=int, default=5, help="classes to name for each photograph")
    answers.add_argument("--labels", type=Path, help="class names, one a line; left out, the server's")
    answers.add_argument("--output-meaning", choices=KINDS, help="of the scores; left out, the server's, or assumed")
    answers.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    answers.add_argument("--strict", action="store_true", help="stop at the first photograph that has no answer")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Classify every photograph, and print the answers as they arrive.

    Raises SlipwayError if a photograph got no answer.
    """
    require_sensible(arguments)
    unwind_when_terminated()  # so that the server also releases the shared memory after SIGTERM
    model = client_options.served_model(arguments)
    files = photographs(arguments.images)
    with Connection(model.endpoint, arguments.deadline_ms / 1e3, arguments.retries) as connection:
        settings = classification(arguments, connection, model, len(files))
        memory = SharedBatch(connection, settings.batch_bytes) if arguments.shared_memory else contextlib.nullcontext()
        width = max(len(str(file)) for file in files)
        with memory as shared, summarised(model, settings, arguments.json) as predictions:
            for pictures in classify(connection, settings, files, predictions, shared):
                if not arguments.json:
                    print(*map(printable, table(pictures, width)), sep="\n", flush=True)
    if predictions.failed:
        raise SlipwayError(f"{len(predictions.failed)} of {len(files)} photographs have no answer; each is named above")


@contextlib.contextmanager
def summarised(model: client_options.ServedModel, settings: Classification, as_json: bool) -> Iterator[Predictions]:
    """Context manager: yield an empty Predictions, and print its summary at the end of the block, even after an error.

    With `as_json`, the summary is a JSON document with all predictions.
    """
    classifier, predictions = settings.classifier, Predictions()
    facts = {"server": str(model.endpoint), "model": classifier.name, "rehearsal": model.rehearsal}
    facts |= {"input": classifier.dtype, "preprocessing": asdict(settings.preprocess), "batch": settings.batch}
    try:
        yield predictions
    finally:
        text = document(predictions, facts) if as_json else "\n".join(conclusion(predictions, facts))
        print(printable(text), flush=True)


def require_sensible(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError, with the option, if an option has a wrong value, or does not fit other options."""
    client_options.require_sensible(arguments, top=1)
    if reason := implausible(arguments.mean or IMAGENET.mean, arguments.std or IMAGENET.std, "--"):
        raise SlipwayError(reason)


def photographs(paths: list[Path]) -> list[Path]:
    """Return the files to classify: the files in `paths`, and the images in its folders.

    Without `paths`, the sample photograph is returned.
    """
    return [
        file for path in paths or [sample_photograph()] for file in (find_images(path) if path.is_dir() else [path])
    ]


def classification(
    arguments: argparse.Namespace, connection: Connection, model: client_options.ServedModel, pictures: int
) -> Classification:
    """Return the settings of the classification, from the options and the server's description of the model.

    `pictures` is the number of files to classify; the batch is not larger.
    """
    name = find_model(connection, model.name, arguments.model_version)
    classifier = describe_classifier(connection, name, arguments.model_version, arguments.output)
    preprocess = preprocessing_of(arguments, classifier, model.preprocess)
    batch = client_options.batch_size(name, classifier.max_batch, arguments.batch, "pictures")
    own_labels = arguments.labels and read_labels(arguments.labels, classifier)
    labels = own_labels or ask_labels(connection, classifier, preprocess.crop)
    stated = require_same_meaning(classifier, arguments.output_meaning)
    return Classification(classifier, preprocess, min(batch, pictures), labels, stated, arguments.top, arguments.strict)


if __name__ == "__main__":
    run(main, parse_arguments())
