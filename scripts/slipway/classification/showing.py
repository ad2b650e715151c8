"""Present a model's answers: in records, after a deployment, in the report, in the client."""

import numpy as np

from slipway.core.errors import SlipwayError
from slipway.core.records import NUMBER, has_shape
from slipway.outputs.meaning import THRESHOLD, Meaning

UNKNOWN = "not known"
_SHAPES = (
    {"top": [{"label": str, "confidence": NUMBER}]},
    {"tensor": {"shape": [int], "min": NUMBER, "max": NUMBER, "values": [NUMBER]}},
)
# The name of a single output's class if no label names it.
POSITIVE = "positive class"
# A tensor of up to WHOLE values is shown completely, a larger one by its FIRST values.
WHOLE, FIRST = 8, 5


def answer_of(values: np.ndarray, meaning: Meaning, labels: list[str], count: int = 5) -> dict:
    """Return the answer to one sample for a record, from its values (values,).

    For classes: {"top": [{"index", "label", "confidence"}, ...]} with the `count` most likely classes. If each class
    has a probability of its own, also "present": the labels of the classes from "threshold" on. For a tensor:
    {"tensor": its summary}. A class without a label is named "class i".
    """
    if not meaning.has_classes:
        return {"tensor": _summary(values)}
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
    if "tensor" in answer:
        return [_sentence_of_tensor(answer["tensor"])]
    lines = [f"{entry['confidence']:6.1%}  {entry['label']}{_number(entry, ' (class {})')}" for entry in answer["top"]]
    if "present" in answer:
        lines.append(f"each by itself; from {answer['threshold']:.0%} on: {', '.join(answer['present']) or 'none'}")
    return lines


def in_words(record: object, answer: dict) -> list[str]:
    """Return two lines from records that may be damaged: the outputs' meaning, and the sample photograph's answer."""
    try:
        meaning = Meaning.of(record).in_words
    except SlipwayError:
        meaning = UNKNOWN
    return [meaning, f"the sample photograph's: {sentence_of(answer, 1) if has_shape(answer, _SHAPES) else UNKNOWN}"]


def sentence_of(answer: dict, count: int | None = None) -> str:
    """Return an answer in one line: the `count` most likely classes, or the tensor."""
    if "tensor" in answer:
        return _sentence_of_tensor(answer["tensor"])
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


def _summary(values: np.ndarray) -> dict:
    values = values.astype(np.float64)
    shown = values.ravel()[: values.size if values.size <= WHOLE else FIRST]
    return {
        "shape": list(values.shape),
        "min": _short(values.min()),
        "max": _short(values.max()),
        "values": [_short(value) for value in shown],
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _sentence_of_tensor(tensor: dict) -> str:
    size, shown = int(np.prod(tensor["shape"])), ", ".join(f"{value:g}" for value in tensor["values"])
    if size == len(tensor["values"]):
        return f"{size} value{'s' if size > 1 else ''}: {shown}"
    return f"{size} values from {tensor['min']:g} to {tensor['max']:g}: {shown}, ..."
