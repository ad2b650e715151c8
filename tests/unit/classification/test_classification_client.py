"""Which model can be asked, and what becomes of its answers."""

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from slipway.classification import client as classification_client
from slipway.classification.client import assumed_meaning, labels_of
from slipway.triton.client.connection import RequestFailed
from slipway.triton.client.remote_model import why_no_model


def index_of(*entries):
    return [
        service_pb2.RepositoryIndexResponse.ModelIndex(
            **dict(zip(("name", "version", "state", "reason"), entry, strict=True))
        )
        for entry in entries
    ]


INDEX = index_of(
    ("resnet", "1", "READY", ""),
    ("resnet", "3", "READY", ""),
    ("b0", "1", "UNAVAILABLE", "no memory"),
    ("b1", "", "", ""),
)


@pytest.mark.parametrize(
    ("index", "model", "version", "said"),
    [
        (INDEX, "vgg", "", "there is no model vgg: ready are resnet"),
        (INDEX, "b0", "", "model b0 is not ready (no memory): ready are resnet"),
        (INDEX, "b1", "", "model b1 is not ready: ready are resnet"),
        (INDEX, "resnet", "2", "model resnet has no version 2 that is ready, but 1, 3"),
        (INDEX, None, "", "name the model with --model: ready are resnet"),
        ([], "vgg", "", "there is no model vgg: no model is ready"),
    ],
)
def test_a_model_that_cannot_be_asked_is_explained(index, model, version, said):
    assert why_no_model(index, model, version) == said


# Answers


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        ([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]], "logits"),
        ([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], "probabilities"),
        ([[0.9, 0.8, 0.1]], "logits"),
        ([[0.9]], "tensor"),
        ([[3.5], [-2.0]], "tensor"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_a_server_does_not_say_is_assumed_and_one_value_is_never_100_percent(scores, kind, dtype):
    assert assumed_meaning(np.asarray(scores, dtype)).kind == kind


@pytest.mark.parametrize(
    ("kind", "scores", "shown"),
    [
        ("sigmoid", [[0.9, 0.8]], [0.9, 0.8]),
        ("sigmoid", [[2.0, -2.0]], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]),
        ("probabilities", [[0.6, 0.4]], [0.6, 0.4]),
        ("logits", [[0.6, 0.4]], [0.549834, 0.450166]),
    ],
)
def test_what_the_client_states_decides(kind, scores, shown):
    meaning = assumed_meaning(np.float32(scores), kind)
    np.testing.assert_allclose(meaning.probabilities(np.float32(scores))[0], shown, rtol=1e-5)


def test_labels_come_from_triton_and_classes_without_one_have_a_number():
    assert labels_of(["9.5:2:wine: red", "1.0:0:beer", "-3e+08:1", "0.1:3:"], 4) == [
        "beer",
        "class 1",
        "wine: red",
        "class 3",
    ]


@pytest.mark.parametrize("answer", [None, np.zeros((3, 0), np.float32), np.zeros((2, 5), np.float32)])
def test_an_answer_for_another_number_of_pictures_fails(answer):
    with pytest.raises(RequestFailed, match="not one row of scores for each picture"):
        classification_client._scores(answer, 3)


def test_an_answer_that_is_no_number_fails():
    with pytest.raises(RequestFailed, match="not finite"):
        classification_client._scores(np.float32([[1, np.nan]]), 1)
