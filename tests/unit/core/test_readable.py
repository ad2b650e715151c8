"""Numbers as people read them: without powers of ten, as long as the digits are easier to read."""

import math

import pytest

from slipway.core.readable import readable


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0, 3, "0"),
        (0.05, 3, "0.05"),
        (1.0, 3, "1"),
        (12.34, 3, "12.3"),
        (99.96, 3, "100"),
        (999.6, 3, "1,000"),
        (0.99996, 4, "1"),
        (20000.0, 3, "20,000"),
        (11_430.4, 4, "11,430"),
        (-11_430.4, 4, "-11,430"),
        (1_234_567.0, 4, "1,234,567"),
        (137.2, 2, "137"),
        (1e-5, 3, "0.00001"),
        (1.234e-9, 3, "1.23e-09"),
        (3.4e38, 3, "3.4e+38"),
        (math.inf, 4, "inf"),
        (math.nan, 4, "nan"),
    ],
)
def test_numbers_are_plain(value, digits, text):
    assert readable(value, digits) == text
