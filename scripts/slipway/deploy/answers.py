"""Whether a live release still gives the golden answers."""

from slipway.benchmark.agreement import violations
from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.triton.client.smoke_test import Expected


def why_wrong(outputs: Tensors, expected: Expected) -> str | None:
    """Return why an answer to the golden request differs from the golden one; None if it matches."""
    try:
        wrong = violations(expected.agreement(outputs), expected.limits)
    except SlipwayError as error:
        return str(error)
    return f"its answer is wrong: {'; '.join(wrong)}" if wrong else None
