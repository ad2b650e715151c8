"""Collect a server's answers to photographs, and print them as a table or as JSON."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from slipway.core import templates
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import STATED_BY_SERVER, Meaning
from slipway.outputs.presentation import answer_of, sentence_of


@dataclass
class Predictions:
    """The results of a classification: the answers, the failures, and the latencies of the requests in ms.

    `pictures` has an entry for each photograph with an answer, as `add` returns it. `failed` has {"file", "error"} for
    each other photograph. `meaning` is that of the last scores; None before the first answer. `start` is the reading of
    time.perf_counter at the beginning.
    """

    pictures: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    requests_ms: list[float] = field(default_factory=list)
    meaning: Meaning | None = None
    start: float = field(default_factory=time.perf_counter)

    def add(
        self, files: Sequence[Path], outputs: np.ndarray, meaning: Meaning, labels: list[str], top: int, request: dict
    ) -> list[dict]:
        """Add the outputs (N, values) of one request for the photographs `files`. Return the new entries of `pictures`.

        An entry is {"file", ...} with the entries of `presentation.answer_of`, such as "top", and those of `request`:
        the facts that `client.ask` returns, such as "latency_ms". `top` is the number of best classes in it. A class
        without a label is named "class i".
        """
        self.meaning = meaning
        self.requests_ms.append(request["latency_ms"])
        answers = [answer_of(row, meaning, labels, top) for row in outputs]
        new = [{"file": str(file), **answer, **request} for file, answer in zip(files, answers, strict=True)]
        self.pictures += new
        return new

    def fail(self, files: Sequence[Path], error: SlipwayError) -> None:
        """Add photographs that got no answer to `failed`, and print their names with the error."""
        for file in files:
            self.failed.append({"file": str(file), "error": str(error)})
            progress(f"no answer for {file}: {error}")

    def summary(self) -> dict:
        """Return {"answered", "failed", "seconds", "pictures_per_second", "requests", "request_ms": {"p50", "p99"}}.

        "answered", "failed" and "requests" are numbers. "seconds" is the time since the start, including the reading of
        files. Without requests, the percentiles are None.
        """
        seconds = time.perf_counter() - self.start
        p50, p99 = np.percentile(self.requests_ms, [50, 99]).round(3).tolist() if self.requests_ms else (None, None)
        return {
            "answered": len(self.pictures),
            "failed": len(self.failed),
            "seconds": round(seconds, 3),
            "pictures_per_second": round(len(self.pictures) / seconds, 2),
            "requests": len(self.requests_ms),
            "request_ms": {"p50": p50, "p99": p99},
        }


def table(pictures: list[dict], width: int) -> list[str]:
    """Return a line for each picture: its file, its request's latency (ms), its classes.

    `pictures` are entries of `Predictions.pictures`. The file's name is padded to `width` characters.
    """
    return [f"{entry['file']:<{width}}  {entry['latency_ms']:9.1f} ms  {sentence_of(entry)}" for entry in pictures]


def conclusion(predictions: Predictions, who: dict) -> list[str]:
    """Return the lines below the table: number of pictures, server, throughput, and a warning about random weights.

    `who` has "model" (its name), "server" (its address), "batch" (the batch size) and "rehearsal" (whether the weights
    are random).
    """
    values = {"meaning": predictions.meaning, "usual_reasons": ("", STATED_BY_SERVER)}
    template = Path(__file__).with_name("conclusion.txt.j2")
    return templates.document(template, {**values, **who, **predictions.summary()}).splitlines()


def document(predictions: Predictions, who: dict) -> str:
    """Return JSON text with the entries of `who`, and "output" (the meaning), "pictures", "failed" and "summary".

    `who` is that of `conclusion`.
    """
    meaning = predictions.meaning and predictions.meaning.record()
    answers = {"pictures": predictions.pictures, "failed": predictions.failed, "summary": predictions.summary()}
    return json.dumps({**who, "output": meaning, **answers}, indent=2)
