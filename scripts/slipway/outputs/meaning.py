"""The meaning of a model's output: whether its values are class scores, and how they become probabilities.

The meaning is stated in config.yaml or by the server, or is found in the network. Records and the served model have it.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slipway.core.errors import SlipwayError
from slipway.core.records import has_shape

# logits: one score per class; softmax makes probabilities of them. probabilities: the result of softmax, with sum one.
# sigmoid: one score per class; each class is present or absent by itself. tensor: numbers that are no class scores.
KINDS = ("logits", "probabilities", "sigmoid", "tensor")
# In a sigmoid output, a class counts as present if its probability is at least this high.
THRESHOLD = 0.5

_TEXT = (str, type(None))
_SHAPE = {"kind": str, "activation": _TEXT, "negative": _TEXT, "reason": str}
# The `reason` if a user or a server states the meaning.
STATED = "config.yaml says so"
STATED_BY_SERVER = "the server says so"

_IN_WORDS = {
    "logits": "class scores, of which softmax makes probabilities (logits)",
    "probabilities": "probabilities of the classes, which sum to one",
    "sigmoid": f"a probability for each class by itself, present from {THRESHOLD:.0%} on (sigmoid)",
    "tensor": "numbers that are no class scores (tensor)",
}
# The parameters of a served model that state its meaning to clients.
_PARAMETER, _ACTIVATION, _NEGATIVE = "output_meaning", "output_activation", "negative_label"


@dataclass(frozen=True)
class Meaning:
    """The meaning of an output (N, values).

    `kind` is "logits", "probabilities", "sigmoid" or "tensor". `activation` is the function that turns the values into
    probabilities: "softmax" or "sigmoid". It is None if the values are probabilities already, or no class scores.
    `negative` is the label of the negative class of a single sigmoid, or None without such a label. `reason` is the
    evidence for the meaning, in words.
    """

    kind: str
    activation: str | None = None
    negative: str | None = None
    reason: str = ""

    @classmethod
    def of(cls, record: Any) -> "Meaning":
        """Return the meaning that `record` states: an entry of a JSON file, as the method `record` returns it.

        Raises SlipwayError if the entry is damaged.
        """
        if not has_shape(record, _SHAPE) or record["kind"] not in KINDS:
            raise SlipwayError(f"the recorded meaning of the outputs is damaged ({record!r}); run snakemake again")
        return cls(**{name: record[name] for name in _SHAPE})

    @classmethod
    def of_parameters(cls, parameters: dict[str, str]) -> "Meaning | None":
        """Return the meaning that the parameters in a served model's configuration state; None if they state none.

        The method `parameters` makes such parameters.
        """
        kind = parameters.get(_PARAMETER)
        if kind not in KINDS:
            return None
        activation = parameters.get(_ACTIVATION) or None
        return cls(kind, activation, parameters.get(_NEGATIVE), reason=STATED_BY_SERVER)

    @property
    def has_classes(self) -> bool:
        """Return whether the values are class scores."""
        return self.kind != "tensor"

    @property
    def is_stated(self) -> bool:
        """Return whether config.yaml states the meaning."""
        return self.reason.startswith(STATED)

    @property
    def in_words(self) -> str:
        """Return the meaning in words, such as "numbers that are no class scores (tensor)"."""
        return _IN_WORDS[self.kind]

    def record(self) -> dict:
        """Return the meaning as an entry for a JSON record: {"kind", "activation", "negative", "reason"}."""
        return asdict(self)

    def parameters(self) -> dict[str, str]:
        """Return the parameters for a served model's configuration that state the meaning to clients, as {name: text}.

        The method `of_parameters` reads them.
        """
        stated = {_PARAMETER: self.kind, _ACTIVATION: self.activation or "", _NEGATIVE: self.negative}
        return {name: value for name, value in stated.items() if value is not None}

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the float64 probabilities (N, classes) of values (N, classes).

        Raises ValueError if the values are no class scores.
        """
        if not self.has_classes:
            raise ValueError("these values are no scores of classes")
        values = values.astype(np.float64)
        if self.activation == "softmax":
            shifted = np.exp(values - values.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        if self.activation == "sigmoid":
            return np.exp(-np.logaddexp(0, -values))
        return values

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Return one probability per class, (N, classes), for values (N, values).

        A single sigmoid gives two classes: negative, positive.
        """
        probabilities = self.probabilities(values)
        single = self.kind == "sigmoid" and probabilities.shape[1] == 1
        return np.hstack([1 - probabilities, probabilities]) if single else probabilities

    def decisions(self, values: np.ndarray) -> np.ndarray:
        """Return the index of the best class, (N, 1), for values (N, classes).

        For a sigmoid, return booleans (N, classes): whether each class is present.
        """
        if self.kind == "sigmoid":
            return self.probabilities(values) >= THRESHOLD
        return values.argmax(axis=1)[:, None]


LOGITS = Meaning("logits", "softmax")
TENSOR = Meaning("tensor")
