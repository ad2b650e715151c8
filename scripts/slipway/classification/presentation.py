"""Present class scores: in records, after a deployment, in the report, and in the client."""

import numpy as np

from slipway.core.records import NUMBER
from slipway.outputs.meaning import THRESHOLD, Meaning

# The shape of a recorded answer, which may have further entries.
SHAPE = {"top": [{"label": str, "confidence": NUMBER}]}
# The name of a single output's class if no label names it.
POSITIVE = "positive class"


def answer_of(values: np.ndarray, meaning: Meaning, labels: list[str], count: int = 5) -> dict:
    """Return the answer to one sample as an entry for a JSON record, from output values (classes,).

    {"top": [{"index", "label", "confidence"}, ...]} has the `count` most likely classes. For a sigmoid, "present" has
    the labels of all classes whose probability is at least "threshold". A class without a label is named "class i". A
    single sigmoid whose negative class has no name has one class, without "index".
    """
    scores = meaning.scores(values[None])[0]
    names: list[str | None] = [*labels, *(f"class {index}" for index in range(len(labels), len(scores)))]
    single = meaning.kind == "sigmoid" and len(values) == 1
    if single:
        names = [meaning.negative, labels[-1] if labels and labels != ["class 0"] else POSITIVE]
    entries = [
        {"index": int(index), "label": names[index], "confidence": round(float(scores[index]), 6)}
        for index in np.argsort(-scores, kind="stable")
    ]
    if single and meaning.negative is None:
        entries = [{"label": entry["label"], "confidence": entry["confidence"]} for entry in entries if entry["index"]]
    if meaning.kind != "sigmoid":
        return {"top": entries[:count]}
    present = [entry["label"] for entry in entries if entry["confidence"] >= THRESHOLD]
    return {"top": entries[:count], "threshold": THRESHOLD, "present": present}


def lines_of(answer: dict) -> list[str]:
    """Return lines of text for an entry that `answer_of` made, the most likely class first.

    For a sigmoid, a last line names the classes that are present.
    """
    lines = [f"{entry['confidence']:6.1%}  {entry['label']}{_number(entry, ' (class {})')}" for entry in answer["top"]]
    if "present" in answer:
        lines.append(f"each by itself; from {answer['threshold']:.0%} on: {', '.join(answer['present']) or 'none'}")
    return lines


def sentence_of(answer: dict, count: int | None = None) -> str:
    """Return one line of text for an entry that `answer_of` made: its `count` most likely classes (None: all)."""
    return ", ".join(
        f"{entry['confidence']:.1%} {entry['label']}{_number(entry, ' ({})')}" for entry in answer["top"][:count]
    )


def _number(entry: dict, form: str) -> str:
    return form.format(entry["index"]) if "index" in entry else ""
