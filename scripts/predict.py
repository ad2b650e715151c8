"""Ask a Triton server, by default the one that `make deploy` started here, what photographs show."""

import argparse
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from slipway.core.cli import parser, progress, run, unwind_when_terminated
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record, require_record
from slipway.core.terminal import printable
from slipway.deploy.local import server_state
from slipway.networks.model_inputs import photograph
from slipway.outputs.meaning import KINDS, Meaning
from slipway.photographs import label_files
from slipway.photographs.image_files import find_images
from slipway.photographs.images import Preprocessing, sample_photograph
from slipway.photographs.normalisation import implausible
from slipway.photographs.predictions import Predictions, conclusion, document, table
from slipway.triton.client.classification_client import ask, ask_labels, ask_tensors, assumed_meaning, find_model
from slipway.triton.client.classifier import Classifier, batch_size
from slipway.triton.client.connection import Connection, RequestFailed
from slipway.triton.client.endpoint import Endpoint, Tls, endpoint_of
from slipway.triton.client.ports import Ports
from slipway.triton.client.shared_memory import SharedBatch

# What torchvision's ImageNet classifiers are fed, where neither options nor the local deployment say otherwise.
# The settings that matter for an input, beside its side: a model that takes pixels normalises them itself.
_USED = {"float32": ("resize", "mean", "std", "interpolation"), "uint8": ("resize", "interpolation")}
IMAGENET = Preprocessing(232, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
USUAL_BATCH = 8

Item = TypeVar("Item")

# What is read of a receipt.
RECEIPT = {
    **dict.fromkeys(("model", "served_as", "origin"), str),
    "server": {"pid": int},
    "chain": {"weights_sha256": str},
}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("images", type=Path, nargs="*", help="photographs, and folders of them; none: the sample")
    add_server(arguments)
    add_sending(arguments)
    add_preprocessing(arguments)
    answers = arguments.add_argument_group("answers")
    answers.add_argument("--top", type=int, default=5, help="classes to name for each photograph")
    answers.add_argument("--labels", type=Path, help="class names, one a line; left out, those that the server has")
    answers.add_argument(
        "--output-meaning", choices=KINDS, help="what the scores mean, of a server that does not say; left out, assumed"
    )
    answers.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    answers.add_argument("--strict", action="store_true", help="stop at the first photograph that has no answer")
    return arguments.parse_args(argv)


def add_server(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say which model of which server is asked, and how the server is trusted."""
    group = arguments.add_argument_group("server")
    group.add_argument("--url", help="HOST:PORT of its gRPC API; left out, the server that this checkout deployed")
    group.add_argument("--model", help="name of the model; left out, the only one there")
    group.add_argument("--model-version", default="", help="its version; left out, the server chooses")
    group.add_argument("--output", help="the output that has the scores, of a model with several")
    group.add_argument("--tls", action="store_true", help="speak TLS")
    group.add_argument("--ca", type=Path, help="authority to trust (PEM); left out, those that gRPC carries")
    group.add_argument("--certificate", type=Path, help="certificate of this client (PEM), for mutual TLS")
    group.add_argument("--key", type=Path, help="private key of this client (PEM), for mutual TLS")
    group.add_argument("--server-name", help="name in the server's certificate, where that is not the host")
    group.add_argument(
        "--state", type=Path, default=server_state.FOLDER, help="folder of the deployed server's state, without --url"
    )


def add_sending(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say how pictures travel."""
    group = arguments.add_argument_group("sending")
    group.add_argument("--deadline-ms", type=float, default=30000, help="longest wait for an answer, retries included")
    group.add_argument(
        "--retries", type=int, default=4, help="further tries, ever later, while the server is away or its queue full"
    )
    group.add_argument(
        "--batch", type=int, help=f"photographs in one request; left out, {USUAL_BATCH} or as many as the model takes"
    )
    group.add_argument("--shared-memory", action="store_true", help="hand pictures over in this machine's memory")


def add_preprocessing(arguments: argparse.ArgumentParser) -> None:
    """Add how a photograph becomes an input; all may be left out, unlike where a record is to say what was done."""
    group = arguments.add_argument_group(
        "preprocessing", "left out: as the server states it for its model, else as ImageNet's models have it"
    )
    group.add_argument("--resize", type=int, help="length of the short side after scaling, in pixels")
    group.add_argument("--crop", type=int, help="side of the input in pixels, where the server leaves it open")
    group.add_argument("--mean", type=float, nargs=3, help="mean of each RGB channel, of 0..1")
    group.add_argument("--std", type=float, nargs=3, help="standard deviation of each RGB channel")
    group.add_argument("--interpolation", choices=["bilinear", "bicubic"], help="resize filter")


@dataclass(frozen=True)
class Subject:
    """Who is asked: where, which model, how it was fed when it was proven, and whether its weights are random."""

    endpoint: Endpoint
    model: str | None
    proven: dict = field(default_factory=dict)
    rehearsal: bool = False


@dataclass(frozen=True)
class Task:
    """How the model is asked, and how its answers are told: as the `top` classes, by their `labels` as far as known.

    `stated` is what --output-meaning says.
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
        """Return the size of a full request's input."""
        return self.batch * 3 * self.preprocess.crop**2 * np.dtype(self.classifier.dtype).itemsize


def main(arguments: argparse.Namespace) -> None:
    """Ask about every photograph and show the answers as they come; raise SlipwayError if any has none."""
    require_sensible(arguments)
    unwind_when_terminated()  # so that the server then, too, lets go of shared memory
    subject = subject_of(arguments)
    files = photographs(arguments.images)
    with Connection(subject.endpoint, arguments.deadline_ms / 1e3, arguments.retries) as connection:
        task = task_of(arguments, connection, subject, len(files))
        memory = SharedBatch(connection, task.batch_bytes) if arguments.shared_memory else contextlib.nullcontext()
        width = max(len(str(file)) for file in files)
        with memory as shared, told(subject, task, arguments.json) as predictions:
            for pictures in answered(connection, task, files, predictions, shared):
                if not arguments.json:
                    print(*map(printable, table(pictures, width)), sep="\n", flush=True)
    if predictions.failed:
        raise SlipwayError(f"{len(predictions.failed)} of {len(files)} photographs have no answer; each is named above")


@contextlib.contextmanager
def told(subject: Subject, task: Task, as_json: bool) -> Iterator[Predictions]:
    """Yield where the answers are kept, and print their sum at the end, also where it comes too soon."""
    who = {
        "server": str(subject.endpoint),
        "model": task.classifier.name,
        "rehearsal": subject.rehearsal,
        "input": task.classifier.dtype,
        "preprocessing": asdict(task.preprocess),
        "batch": task.batch,
    }
    predictions = Predictions()
    try:
        yield predictions
    finally:
        text = document(predictions, who) if as_json else "\n".join(conclusion(predictions, who))
        print(printable(text), flush=True)


def require_sensible(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError naming an option whose value, or whose presence, makes no sense."""
    lowest = {"top": 1, "batch": 1, "retries": 0, "deadline_ms": 1}
    for name, low in lowest.items():
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise SlipwayError(f"--{name.replace('_', '-')} {value} is too low; the lowest is {low}")
    for name in ("deadline_ms", "mean", "std"):
        if not np.isfinite(getattr(arguments, name) or 0).all():
            raise SlipwayError(f"--{name.replace('_', '-')} takes finite numbers; give others, or leave it out")
    if arguments.std and min(arguments.std) <= 0:
        raise SlipwayError(f"--std is divided by, so {min(arguments.std):g} is too low; give deviations above 0")
    if reason := implausible(arguments.mean or IMAGENET.mean, arguments.std or IMAGENET.std, "--"):
        raise SlipwayError(reason)
    for name in ("ca", "certificate", "key", "server_name"):
        if getattr(arguments, name) and not arguments.tls:
            raise SlipwayError(f"--{name.replace('_', '-')} is for TLS; add --tls, or leave it out")


def photographs(given: list[Path]) -> list[Path]:
    """Return the files to ask about: those given, the images of each folder given, or else the sample photograph."""
    if not given:
        return [sample_photograph()]
    return [path for each in given for path in (find_images(each) if each.is_dir() else [each])]


def subject_of(arguments: argparse.Namespace) -> Subject:
    """Return who is asked: the server of --url, or what this checkout deployed."""
    tls = Tls(arguments.ca, arguments.certificate, arguments.key, arguments.server_name) if arguments.tls else None
    if arguments.url:
        return Subject(Endpoint.parse(arguments.url, tls), arguments.model)
    return deployed_here(arguments.state, arguments.model, tls)


def deployed_here(state_folder: Path, model: str | None, tls: Tls | None = None) -> Subject:
    """Return the model that this checkout's live server was proven with; `model` may be its name in either place."""
    state = server_state.recorded_server(state_folder)
    if state is None:
        raise SlipwayError(
            "no server of this checkout is live; run `make deploy`, or name another's with --url HOST:PORT"
        )
    results = state_folder.parent
    receipts = [read_record(path, RECEIPT) for path in sorted(results.glob("*/deploy/receipt.json"))]
    live = [receipt for receipt in receipts if receipt and receipt["server"]["pid"] == state["pid"]]
    chosen = [receipt for receipt in live if model in (None, receipt["model"], receipt["served_as"])]
    if len(chosen) != 1:
        there = ", ".join(receipt["served_as"] for receipt in live) or "none yet"
        raise SlipwayError(f"name with --model one of the models that are deployed here: {there}")
    (receipt,) = chosen
    golden = require_record(
        results / receipt["model"] / "golden.json", {"weights_sha256": str, "key": dict}, "run snakemake again"
    )
    if golden["weights_sha256"] != receipt["chain"]["weights_sha256"]:
        progress("other weights were built since the deployment; photographs are preprocessed as for those")
    endpoint = endpoint_of(Ports.of(state["listening"]))
    if tls:
        endpoint = replace(endpoint, tls=tls)
    return Subject(endpoint, receipt["served_as"], golden["key"], receipt["origin"] == "rehearsal")


def task_of(arguments: argparse.Namespace, connection: Connection, subject: Subject, pictures: int) -> Task:
    """Return how to ask, from what the server says of its model and what the options want of it."""
    model = find_model(connection, subject.model, arguments.model_version)
    classifier = ask_tensors(connection, model, arguments.model_version, arguments.output)
    preprocess = preprocessing_of(arguments, classifier, subject.proven)
    batch = batch_size(classifier, arguments.batch, USUAL_BATCH)
    if arguments.labels:
        labels = read_labels(arguments.labels, classifier)
    else:
        labels = ask_labels(connection, classifier, preprocess.crop)
    stated = require_same_meaning(classifier, arguments.output_meaning)
    return Task(classifier, preprocess, min(batch, pictures), labels, stated, arguments.top, arguments.strict)


def require_same_meaning(classifier: Classifier, stated: str | None) -> str | None:
    """Return what --output-meaning says; raise SlipwayError when the server says otherwise."""
    meaning = classifier.meaning
    if meaning and stated not in (None, meaning.kind):
        raise SlipwayError(
            f"--output-meaning {stated} is not what the server says of {classifier.name}, whose outputs are "
            f"{meaning.in_words}; leave it out"
        )
    return stated


def meaning_of(task: Task, scores: np.ndarray) -> Meaning:
    """Return what scores (N, classes) mean: as the server says, else as is stated or assumed.

    Of a single yes or no, the first of two labels is that of a no.
    """
    meaning = task.classifier.meaning or assumed_meaning(scores, task.stated)
    return replace(meaning, negative=task.labels[0]) if scores.shape[1] == 1 and len(task.labels) == 2 else meaning


def preprocessing_of(arguments: argparse.Namespace, classifier: Classifier, proven: dict) -> Preprocessing:
    """Return the preprocessing: each setting from the options, the server, the deployment's proof, or ImageNet's.

    The first of these that has the setting counts. The side of the input is the server's if it states one. ImageNet's
    settings are a guess, which is said.
    """
    if classifier.side and arguments.crop not in (None, classifier.side):
        side = classifier.side
        raise SlipwayError(f"{classifier.name} takes {side} x {side} pixels, not --crop {arguments.crop}; leave it out")
    names = [setting.name for setting in fields(Preprocessing)]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    known = proven | (classifier.preprocess or {}) | given
    settings = asdict(IMAGENET) | {name: known[name] for name in names if name in known}
    if classifier.side:
        settings["crop"] = classifier.side
    if "resize" not in known:
        settings["resize"] = round(settings["crop"] * IMAGENET.resize / IMAGENET.crop)
    if settings["resize"] < settings["crop"]:
        raise SlipwayError(f"--resize {settings['resize']} is below the input's side of {settings['crop']} pixels")
    if guessed := [name for name in names if name not in known and name in _USED[classifier.dtype]]:
        shown = ", ".join(f"{name} {settings[name]}" for name in guessed)
        progress(
            f"the server does not state how {classifier.name} wants photographs preprocessed, so ImageNet's way is "
            f"assumed: {shown}; --{', --'.join(guessed)} change that"
        )
    return Preprocessing(**settings)


def read_labels(path: Path, classifier: Classifier) -> list[str]:
    """Return a file's class names; raise SlipwayError unless it has one for each class."""
    if not path.is_file():
        raise SlipwayError(f"--labels {path} is no file; correct the path")
    labels = label_files.read_labels(path).names
    of_a_no_too = classifier.classes == 1 and len(labels) == 2
    if classifier.classes not in (None, len(labels)) and not of_a_no_too:
        raise SlipwayError(
            f"--labels {path} has {len(labels)} names, but {classifier.name} has {classifier.classes} classes; "
            "give the file that it was trained with"
        )
    return labels


def answered(
    connection: Connection, task: Task, files: list[Path], predictions: Predictions, shared: SharedBatch | None
) -> Iterator[list[dict]]:
    """Ask about the photographs, a batch at a time; keep and yield the pictures of each answer."""
    for group in grouped(readable(files, task, predictions), task.batch):
        asked = [file for file, _ in group]
        try:
            answer = ask(connection, task.classifier, np.stack([picture for _, picture in group]), shared)
        except RequestFailed as error:
            if task.strict:
                raise
            predictions.fail(asked, error)
        else:
            latency_ms = round(answer.latency_ms, 3)
            request = {"version": answer.version, "latency_ms": latency_ms, "attempts": answer.attempts}
            meaning = meaning_of(task, answer.scores)
            yield predictions.add(asked, answer.scores, meaning, task.labels, task.top, request)


def readable(files: list[Path], task: Task, predictions: Predictions) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield each photograph as the model takes it, (3, side, side); name those that are broken, and go on."""
    for file in files:
        try:
            yield file, photograph(file, task.preprocess, task.classifier.dtype)
        except SlipwayError as error:
            if task.strict:
                raise
            predictions.fail([file], error)


def grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`, the last of what is left; none is taken before it is needed."""
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group


if __name__ == "__main__":
    run(main, parse_arguments())
