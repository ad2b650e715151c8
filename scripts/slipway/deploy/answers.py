"""Whether a live release still gives the golden answers."""

import numpy as np

from slipway.benchmark.agreement import compare, violations
from slipway.triton.client.smoke_test import Expected


def why_wrong(answer: np.ndarray, expected: Expected) -> str | None:
    """Return why an answer (1, outputs) to the golden request differs from the golden one; None if it matches."""
    if answer.shape != expected.golden_logits.shape:
        return f"its answer has the shape {answer.shape}, not {expected.golden_logits.shape}"
    wrong = violations(compare(expected.golden_logits, answer, expected.meaning), expected.limits)
    return f"its answer is wrong: {'; '.join(wrong)}" if wrong else None
