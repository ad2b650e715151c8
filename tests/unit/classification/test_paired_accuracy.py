"""A difference of accuracies on the same photographs is called noise only where it is."""

import numpy as np
import pytest

from slipway.classification.paired_accuracy import (
    MORE,
    OPEN,
    WITHIN,
    chance,
    chance_of_gain,
    difference,
    in_words,
    interval,
)
from slipway.classification.reporting import is_kept, kept_in_words, noise_in_words


def figures(engine, pytorch, agreement=1.0, count=250):
    """Return the figures of an accuracy record, of numbers of right answers."""
    tops = {"engine": {"top1": engine / count}, "pytorch": {"top1": pytorch / count}}
    return {"labelled": count, "samples": count, "top1_agreement": agreement, **tops}


@pytest.mark.parametrize(
    ("engine", "pytorch", "agreement", "expected"),
    [
        (214, 213, 0.98, (1, WITHIN)),
        (213, 213, 0.9, (0, WITHIN)),
        (208, 213, 0.98, (-5, WITHIN)),  # five of five on one side: 2/32
        (207, 213, 0.976, (-6, MORE)),  # six of six: 2/64
        (207, 213, 0.9, (-6, OPEN)),  # six more of 25 that they decide differently may be chance
        (207, 213, 0.964, (-6, OPEN)),  # nine that they decide differently: 7 to 1 is possible, 7.5 to 1.5 is not
        (180, 213, 0.8, (-33, MORE)),
    ],
)
def test_the_sign_test_judges_the_difference(engine, pytorch, agreement, expected):
    assert difference(figures(engine, pytorch, agreement)) == expected


def test_without_agreement_the_least_is_claimed():
    unknown = figures(207, 213)
    del unknown["top1_agreement"]
    assert difference(unknown) == (-6, OPEN)


def test_the_chance_is_that_of_a_fair_coin():
    assert chance(6, 6) == pytest.approx(2 / 64)
    assert chance(1, 3) == 1.0
    assert chance(3, 3) == pytest.approx(0.25)
    assert chance(0, 0) == 1.0


def test_it_is_said_in_words():
    assert in_words(figures(214, 213)) == "1 of 250 photographs more, within the noise"
    assert in_words(figures(213, 213)) == "the same number of 250 photographs"
    assert kept_in_words(figures(214, 213)) == "accuracy kept (85.6% against 85.2%, within the noise)"
    assert kept_in_words(figures(180, 213, 0.8)) == "accuracy lower (72.0% against 85.2%, more than the noise)"
    assert is_kept(figures(213, 213))
    assert not is_kept(figures(207, 213, 0.9))


def test_the_interval_is_wilsons():
    low, high = interval(0.852, 250)
    assert f"{low:.1%} to {high:.1%}" == "78.5% to 90.1%"
    assert "(99 % interval 78.5% to 90.1%, Wilson 1927)" in noise_in_words(figures(213, 213))


def answers(*counts):
    """Return (before, after) with so many photographs right in both, in `before` only, in `after` only, in neither."""
    pairs = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], counts, axis=0).astype(bool)
    return pairs[:, 0], pairs[:, 1]


@pytest.mark.parametrize(
    ("counts", "chance"),
    [
        ((50, 0, 0, 50), 1.0),
        ((50, 3, 3, 10), 0.65625),  # 42 of the 64 ways in which six coins show three heads or more
        ((0, 0, 5, 0), 1 / 32),
        ((0, 5, 0, 0), 1.0),
        ((90, 1, 9, 0), 11 / 1024),
    ],
)
def test_only_what_changed_counts(counts, chance):
    assert chance_of_gain(*answers(*counts)) == pytest.approx(chance)


def test_thousands_of_photographs_are_compared_exactly():
    assert 0 < chance_of_gain(*answers(0, 400, 500, 9000)) < 0.001


@pytest.mark.parametrize(
    ("right", "count", "bounds"),
    [(85, 100, (0.7365, 0.9199)), (0, 10, (0.0, 0.3989)), (10, 10, (0.6011, 1.0))],
)
def test_the_interval_is_wilsons_for_any_share(right, count, bounds):
    assert interval(right / count, count) == pytest.approx(bounds, abs=2e-4)
