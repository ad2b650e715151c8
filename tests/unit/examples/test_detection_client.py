"""The client of the detection example, on what scripts/infer.py writes."""

import sys

import numpy as np
import pytest

from docs.examples.detection import client
from slipway.triton.client.npz_files import ONLY, write_answers

BOX = [10, 20, 110, 220]


def answers_about(picture_scores):
    """Return the model's answers to pictures: each has one anchor, whose score is for category 7."""
    scores = np.zeros((len(picture_scores), 1, 91), np.float32)
    scores[:, 0, 7] = picture_scores
    return {"boxes": np.tile(np.float32([[BOX]]), (len(picture_scores), 1, 1)), "scores": scores}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({str(i): answers_about([score]) for i, score in enumerate((0.9, 0.1, 0.5))}, id="samples.npz"),
        pytest.param({ONLY: answers_about([0.9, 0.1, 0.5])}, id="one array of pictures"),
    ],
)
def test_the_boxes_of_every_picture_are_printed(answers, tmp_path, monkeypatch, capsys):
    write_answers(tmp_path / "answers.npz", answers)
    monkeypatch.setattr(sys, "argv", ["client", str(tmp_path / "answers.npz")])
    client.main()
    assert capsys.readouterr().out.splitlines() == [
        f"picture 0: category 7, 90%, at {BOX}",
        "picture 1: no box has a score of 30% or more",
        f"picture 2: category 7, 50%, at {BOX}",
    ]
