"""Present class scores: in records, after a deployment, in the report, in the client."""

import numpy as np

from slipway.core.records import NUMBER
from slipway.outputs.meaning import THRESHOLD, Meaning

# What a record of an answer has at least.
SHAPE = {"top": [{"label": str, "confidence": NUMBER}]}
# The name of a single output's class if no label names it.
POSITIVE = "positive class"


def answer_of(values: np.ndarray, meaning: Meaning, labels: list[str], count: int = 5) -> dict:
    """Return the answer to one sample for a record, from its scores (classes,).

    {"top": [{"index", "label", "confidence"}, ...]} has the `count` most likely classes. If each class has a
    probability of its own, "present" has the labels of the classes from "threshold" on. A class without a label is
    named "class i".
    """
    confidence = meaning.probabilities(values[None])[0]
    names = labels + [f"class {index}" for index in range(len(labels), len(confidence))]
    if meaning.kind == "sigmoid" and len(confidence) == 1:
        entries = _single_sigmoid_entries(float(confidence[0]), _name_of_yes(labels), meaning.negative)
    else:
        entries = [
            {"index": int(index), "label": names[index], "confidence": round(float(confidence[index]), 6)}
            for index in np.argsort(-confidence, kind="stable")
        ]
    answer = {"top": entries[:count]}
    if meaning.kind == "sigmoid":
        present = [entry["label"] for entry in entries if entry["confidence"] >= THRESHOLD]
        answer |= {"threshold": THRESHOLD, "present": present}
    return answer


def lines_of(answer: dict) -> list[str]:
    """Return an answer as lines, the most likely class first."""
    lines = [f"{entry['confidence']:6.1%}  {entry['label']}{_number(entry, ' (class {})')}" for entry in answer["top"]]
    if "present" in answer:
        lines.append(f"each by itself; from {answer['threshold']:.0%} on: {', '.join(answer['present']) or 'none'}")
    return lines


def sentence_of(answer: dict, count: int | None = None) -> str:
    """Return an answer in one line: the `count` most likely classes."""
    return ", ".join(
        f"{entry['confidence']:.1%} {entry['label']}{_number(entry, ' ({})')}" for entry in answer["top"][:count]
    )


def _name_of_yes(labels: list[str]) -> str:
    """Return the name of a single output's class: the last label, or a general name if there is no label."""
    return labels[-1] if labels and labels != ["class 0"] else POSITIVE


def _single_sigmoid_entries(probability: float, positive: str, negative: str | None) -> list[dict]:
    """Return the entries of a single sigmoid: its class, and the other class if it has a name."""
    if negative is None:
        return [{"label": positive, "confidence": round(probability, 6)}]
    entries = [
        {"index": 1, "label": positive, "confidence": round(probability, 6)},
        {"index": 0, "label": negative, "confidence": round(1 - probability, 6)},
    ]
    return sorted(entries, key=lambda entry: -entry["confidence"])


def _number(entry: dict, form: str) -> str:
    return form.format(entry["index"]) if "index" in entry else ""
