"""The words for a model's samples in messages: general words, or words of the classification task."""

from dataclasses import dataclass

from slipway.classification.task import TASK, WORDS
from slipway.contract.contract import Contract


@dataclass(frozen=True)
class Words:
    """The words for a model's samples in messages.

    `unit`: the word for one inference of batch size 1. `first`: the words for the sample in the reference request.
    `several`: the word for evaluation data. `proof`: the words for the setting that would prove that the model is
    right.
    """

    unit: str
    first: str
    several: str
    proof: str


GENERAL = Words(unit="sample", first="the first sample", several="samples", proof="limits of a `metric`")


def words_of(contract: Contract) -> Words:
    """Return the words for the samples of a model: those of the classification task, or `GENERAL` without a task."""
    return Words(**WORDS) if contract.facts.get("task") == TASK else GENERAL
