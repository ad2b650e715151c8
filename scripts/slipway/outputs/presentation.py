"""Turn the values of an output into an entry for a JSON record, and such an entry into lines of text.

Records of answers, the messages of a deployment and the report use them. See `answer_of` for the keys of an entry.
"""

import numpy as np

from slipway.classification import presentation as classification
from slipway.contract.contract import Contract, Tensors
from slipway.core.errors import SlipwayError
from slipway.core.records import NUMBER, has_shape
from slipway.outputs.meaning import Meaning
from slipway.outputs.wording import GENERAL

UNKNOWN = "not known"
SAMPLE = GENERAL.first
_TENSOR = {"tensor": {"shape": [int], "min": NUMBER, "max": NUMBER, "values": [NUMBER]}}
# An array of up to WHOLE values is shown completely, a larger one by its FIRST values.
WHOLE, FIRST = 8, 5


def answer_of(values: np.ndarray, meaning: Meaning, names: list[str], count: int = 5) -> dict:
    """Return the values of an output for one sample, as an entry for a JSON record.

    If the output has scores, the entry is {"top": [{"index", "label", "confidence"}, ...], ...} with the `count` best
    scores, as the `answer_of` of the task returns it. `names` has a name for each score. For any other output, the
    entry is {"tensor": {"dtype", "shape", "min", "max", "values"}}. Its "values" are all values if there are few, else
    the first.
    """
    if meaning.has_classes and values.ndim == 1:
        return classification.answer_of(values, meaning, names, count)
    flat = values.ravel()
    tensor = {
        "dtype": values.dtype.name,
        "shape": list(values.shape),
        "min": _short(flat.min()) if flat.size else 0,
        "max": _short(flat.max()) if flat.size else 0,
        "values": [_short(value) for value in flat[: flat.size if flat.size <= WHOLE else FIRST]],
    }
    return {"tensor": tensor}


def record_of(outputs: Tensors, contract: Contract, names: list[str]) -> dict[str, dict]:
    """Return {name of the output: its entry for a JSON record} for the answer to one request.

    Only the first sample of a batch is used. An entry has the keys of `answer_of`, and a key "output" with the record
    of the output's Meaning: {"kind", "activation", "negative", "reason"}. `names` has a name for each score of an
    output.
    """
    rows = {name: array[0] if contract.batched else array for name, array in outputs.items()}
    meanings = {tensor.name: tensor.known_meaning for tensor in contract.outputs}
    return {
        name: {"output": meaning.record(), **answer_of(rows[name], meaning, names)}
        for name, meaning in meanings.items()
    }


def lines_of(answer: dict) -> list[str]:
    """Return lines of text for an entry that `answer_of` made: one line for a tensor, or a line for each score."""
    return [_sentence_of_tensor(answer["tensor"])] if "tensor" in answer else classification.lines_of(answer)


def sentence_of(answer: dict, count: int | None = None) -> str:
    """Return one line of text for an entry that `answer_of` made: the tensor's values, or the `count` best scores.

    If `count` is None, the line has all scores of the entry.
    """
    if "tensor" in answer:
        return _sentence_of_tensor(answer["tensor"])
    return classification.sentence_of(answer, count)


def sentences_of(outputs: dict[str, dict], count: int) -> list[str]:
    """Return a line of text for each output: its values, or its `count` best scores.

    `outputs` is {name of the output: its entry}, as `record_of` returns it. If there are several outputs, each line
    begins with the name of its output.
    """
    return prefixed({name: [sentence_of(values, count)] for name, values in outputs.items()})


def prefixed(lines: dict[str, list[str]]) -> list[str]:
    """Return the lines of all outputs as one list, each line with the name of its output in front.

    If there is only one output, its name is left out. `lines` is {name of the output: its lines of text}.
    """
    prefixes = {name: f"{name}: " if len(lines) > 1 else "" for name in lines}
    return [f"{prefixes[name]}{line}" for name, of_output in lines.items() for line in of_output]


def in_words(record: object, answer: dict, sample: str = SAMPLE) -> list[str]:
    """Return lines of text about one output: its meaning, if it is known, and its answer to a sample.

    `record` is the record of the output's Meaning, and `answer` an entry that `answer_of` made. `sample` names the
    sample in the text, such as "the first sample". If `record` or `answer` is damaged, its line says "not known".
    """
    try:
        meaning = Meaning.of(record)
        stated = [meaning.in_words] if meaning.has_classes or meaning.reason else []
    except SlipwayError:
        stated = [UNKNOWN]
    known = has_shape(answer, (classification.SHAPE, _TENSOR))
    return [*stated, f"for {sample}: {sentence_of(answer, 1) if known else UNKNOWN}"]


def _short(value: np.generic) -> float:
    """Return a floating-point value rounded to six digits, or an integer or boolean as an int."""
    return float(f"{value:.6g}") if isinstance(value, np.inexact) else int(value)


def _sentence_of_tensor(tensor: dict) -> str:
    shape, shown = tuple(tensor["shape"]), ", ".join(map(_text, tensor["values"]))
    size = int(np.prod(shape))
    if size == 0:
        return f"no values, {shape}"
    several = f" {shape}" if len(shape) > 1 else ""
    if size == len(tensor["values"]):
        return f"{size} value{'s' if size > 1 else ''}{several}: {shown}"
    return f"{size} values{several} from {_text(tensor['min'])} to {_text(tensor['max'])}: {shown}, ..."


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
