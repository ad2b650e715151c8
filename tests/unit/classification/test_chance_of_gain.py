import numpy as np
import pytest

from slipway.classification.paired_accuracy import chance_of_gain, interval


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
def test_the_interval_is_wilsons(right, count, bounds):
    assert interval(right / count, count) == pytest.approx(bounds, abs=2e-4)
