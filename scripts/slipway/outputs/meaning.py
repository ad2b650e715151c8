"""The meaning of a model's outputs, and how they become probabilities."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from slipway.core.errors import SlipwayError
from slipway.core.records import has_shape

# logits: one score a class, of which softmax makes probabilities that sum to one. probabilities: that softmax's result.
# sigmoid: one score a class, each a yes or no of its own. tensor: numbers that are no scores of classes.
KINDS = ("logits", "probabilities", "sigmoid", "tensor")
# The probability from which a class of its own counts as present.
THRESHOLD = 0.5

_TEXT = (str, type(None))
_SHAPE = {"kind": str, "activation": _TEXT, "negative": _TEXT, "because": str}
# The `because` of a meaning that a user or a server states.
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

    `activation` is what still makes probabilities of the values: "softmax", "sigmoid", or None where they are some
    already, or never are. `negative` names the other class of a single sigmoid. `because` says how it is known.
    """

    kind: str
    activation: str | None = None
    negative: str | None = None
    because: str = ""

    @classmethod
    def of(cls, record: dict | None) -> "Meaning":
        """Return the meaning in a record. A record without one is older than meanings, and is of logits.

        Raises SlipwayError when it is damaged.
        """
        if record is None:
            return LOGITS
        if not has_shape(record, _SHAPE) or record["kind"] not in KINDS:
            raise SlipwayError(f"the recorded meaning of the outputs is damaged ({record!r}); run snakemake again")
        return cls(**{name: record[name] for name in _SHAPE})

    @classmethod
    def of_golden(cls, golden: "np.lib.npyio.NpzFile") -> "Meaning":
        """Return the meaning that is kept beside golden answers."""
        return cls.of(json.loads(str(golden["output"])) if "output" in golden.files else None)

    @classmethod
    def of_parameters(cls, parameters: dict[str, str]) -> "Meaning | None":
        """Return the meaning that a served model states in its parameters; None where it states none that is known."""
        kind = parameters.get(_PARAMETER)
        if kind not in KINDS:
            return None
        activation = parameters.get(_ACTIVATION) or None
        return cls(kind, activation, parameters.get(_NEGATIVE), because=STATED_BY_SERVER)

    @property
    def has_classes(self) -> bool:
        """Return whether the values are scores of classes."""
        return self.kind != "tensor"

    @property
    def is_stated(self) -> bool:
        """Return whether config.yaml states it."""
        return self.because.startswith(STATED)

    @property
    def in_words(self) -> str:
        """Return the meaning in words."""
        return _IN_WORDS[self.kind]

    def record(self) -> dict:
        """Return the meaning as a record holds it."""
        return asdict(self)

    def parameters(self) -> dict[str, str]:
        """Return the meaning as a served model's parameters hold it."""
        stated = {_PARAMETER: self.kind, _ACTIVATION: self.activation or "", _NEGATIVE: self.negative}
        return {name: value for name, value in stated.items() if value is not None}

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the probabilities (N, classes) of values (N, classes), in double precision.

        Raises ValueError for values that are no scores of classes.
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
        """Return one probability a class (N, classes). A single sigmoid has two classes: negative, positive."""
        found = self.probabilities(values)
        return np.hstack([1 - found, found]) if self.kind == "sigmoid" and found.shape[1] == 1 else found

    def decisions(self, values: np.ndarray) -> np.ndarray:
        """Return the decisions of values (N, classes): the best class (N, 1), or the classes present (N, classes)."""
        if self.kind == "sigmoid":
            return self.probabilities(values) >= THRESHOLD
        return values.argmax(axis=1)[:, None]


LOGITS = Meaning("logits", "softmax")
