"""The words for the samples of a model: a task's own, or general ones."""

from dataclasses import dataclass

from slipway.classification.wording import TASK, WORDS
from slipway.contract.contract import Contract


@dataclass(frozen=True)
class Words:
    """`unit`: one inference of batch size 1. `first`: the request with the golden answer. `several`: evaluation data.

    `proof`: what in config.yaml would prove that the model is right.
    """

    unit: str
    first: str
    several: str
    proof: str


GENERAL = Words(unit="sample", first="the first sample", several="samples", proof="limits of a `metric`")


def words_of(contract: Contract) -> Words:
    """Return the words for the samples of a model."""
    return Words(**WORDS) if contract.facts.get("task") == TASK else GENERAL
