"""A client of classification models on any Triton server: describe a model, and classify pictures."""

import time
from dataclasses import replace

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from slipway.classification.served_classifier import Classifier, classifier_of
from slipway.outputs.meaning import LOGITS, Meaning
from slipway.triton.client.connection import Connection, RequestFailed
from slipway.triton.client.shared_memory import SharedBatch

# Tolerance of a sum of probabilities in half precision.
HALF_PRECISION = 1e-2
# The reason of a meaning that the user stated.
OPTION = "--output-meaning says so"
# Triton's error for an unregistered shared memory region.
FORGOTTEN = "Unable to find shared memory region"


def describe_classifier(connection: Connection, model: str, version: str, output: str | None) -> Classifier:
    """Ask a server for a model's metadata and configuration, and return them as a Classifier.

    If `version` is "", the server chooses the version. `output` names the output with the scores; it may be None if the
    model has one output. Raises SlipwayError if the model is no picture classifier.
    """
    metadata = connection.call(connection.client.get_model_metadata, model, version)
    config = connection.call(connection.client.get_model_config, model, version).config
    return classifier_of(metadata, config, version, output)


def ask(
    connection: Connection, classifier: Classifier, batch: np.ndarray, shared: SharedBatch | None = None
) -> tuple[np.ndarray, dict]:
    """Send a batch (N, 3, side, side) to the server, and return (scores (N, classes), facts about the request).

    The facts are {"version": the version that answered, "latency_ms": time with all retries, "attempts": their number}.
    If `shared` is given, the request refers to the batch in this shared memory; otherwise it contains the batch.
    """
    array = batch if classifier.batched else batch[0]
    tensor = grpc.InferInput(classifier.input, list(array.shape), np_to_triton_dtype(array.dtype))
    if shared:
        shared.fill(tensor, array)
    else:
        tensor.set_data_from_numpy(array)
    attempts = 0

    def attempt(client_timeout: float) -> grpc.InferResult:
        nonlocal attempts
        attempts += 1
        try:
            return _infer(connection, classifier, tensor, 0, client_timeout)
        except InferenceServerException as error:
            if not (shared and FORGOTTEN in error.message()):
                raise
            # The server was restarted and has lost the region.
            shared.register(client_timeout)
            return _infer(connection, classifier, tensor, 0, client_timeout)

    start = time.perf_counter()
    result = connection.call(attempt)
    latency_ms = round((time.perf_counter() - start) * 1e3, 3)
    request = {"version": result.get_response().model_version, "latency_ms": latency_ms, "attempts": attempts}
    return _scores(result.as_numpy(classifier.output), len(batch)), request


def ask_labels(connection: Connection, classifier: Classifier, side: int) -> list[str]:
    """Return the class names that the server has for the output; [] if the server has none.

    Triton's classification extension returns "score:index:label" for each class. So one request with an empty picture
    of `side` x `side` pixels, which asks for all classes, returns all names.
    """
    if not (classifier.has_labels and classifier.classes):
        return []
    picture = np.zeros((1, 3, side, side) if classifier.batched else (3, side, side), classifier.dtype)
    tensor = grpc.InferInput(classifier.input, list(picture.shape), np_to_triton_dtype(picture.dtype))
    tensor.set_data_from_numpy(picture)
    named = connection.call(_infer, connection, classifier, tensor, classifier.classes).as_numpy(classifier.output)
    return labels_of([entry.decode("utf-8", errors="replace") for entry in named.ravel()], classifier.classes)


def labels_of(named: list[str], classes: int) -> list[str]:
    """Return a label for each of `classes` classes, from Triton's texts `named`, such as "12.5:3:label of class 3".

    A class without a label is named "class i".
    """
    labels = [f"class {index}" for index in range(classes)]
    for entry in named:
        _, index, *label = entry.split(":", 2)
        if label and label[0]:
            labels[int(index)] = label[0]
    return labels


def assumed_meaning(scores: np.ndarray, kind: str | None = None) -> Meaning:
    """Return a meaning of scores (N, classes) for a server that states none.

    `kind` is the user's --output-meaning, and is used if it is given. Otherwise the scores decide: rows of values from
    0 that sum to 1 are probabilities, and other rows are logits. Rows with a single value are "tensor".
    """
    if kind:
        within = (scores >= 0).all() and (scores <= 1).all()
        activation = {"logits": LOGITS.activation, "sigmoid": None if within else "sigmoid"}.get(kind)
        return Meaning(kind, activation, reason=OPTION)
    if scores.shape[1] == 1:
        return Meaning("tensor", reason="the server does not state the meaning of its single output")
    sums = scores.astype(np.float64).sum(axis=1)
    if (scores >= 0).all() and np.allclose(sums, 1.0, rtol=0, atol=HALF_PRECISION):
        return Meaning("probabilities", reason="the server does not say, but they sum to one")
    return replace(LOGITS, reason="the server does not say, and this is usual")


def _infer(
    connection: Connection, classifier: Classifier, tensor: grpc.InferInput, class_count: int, client_timeout: float
) -> grpc.InferResult:
    outputs = [grpc.InferRequestedOutput(classifier.output, class_count=class_count)]
    model, version = classifier.name, classifier.version
    return connection.client.infer(model, [tensor], version, outputs, client_timeout=client_timeout)


def _scores(answer: np.ndarray | None, pictures: int) -> np.ndarray:
    """Return an answer as scores (N, classes). Raise RequestFailed for a wrong size, or a score that is not finite."""
    if answer is None or answer.size == 0 or answer.size % pictures:
        shape = None if answer is None else answer.shape
        raise RequestFailed(
            f"the server's answer of shape {shape} is not one row of scores for each picture; it is no classifier"
        )
    if not np.isfinite(answer).all():
        raise RequestFailed(
            "the model's scores are not finite; check its engine, and the preprocessing (--mean, --std)"
        )
    return answer.reshape(pictures, -1)
