"""The golden requests of a live release: whether it still gives the golden answers."""

import numpy as np

from slipway.benchmark.agreement import compare, violations
from slipway.core.errors import SlipwayError
from slipway.deploy.platform import Platform
from slipway.deploy.release import Release
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.smoke_test import Expected

DEADLINE_S = 10.0  # for the golden request, which may go through a tunnel


def why_no_answer(platform: Platform, release: Release | None) -> str | None:
    """Return why a target does not answer the golden request with the golden answer; None if all do."""
    if release is None:
        return "its version, with the golden request, is not kept here"
    try:
        with platform.reach(release) as reached:
            for part in release.parts:
                with ModelClient(reached[part.target], part.name, DEADLINE_S) as client:
                    client.require_ready()
                    why = why_wrong(client.infer(part.expected.golden_input).logits, part.expected)
                if why:
                    return f"on {part.target}, {why}"
    except (SlipwayError, OSError) as error:
        return str(error)
    return None


def why_wrong(answer: np.ndarray, expected: Expected) -> str | None:
    """Return why an answer (1, outputs) to the golden request differs from the golden one; None if it matches."""
    if answer.shape != expected.golden_logits.shape:
        return f"its answer has the shape {answer.shape}, not {expected.golden_logits.shape}"
    wrong = violations(compare(expected.golden_logits, answer, expected.meaning), expected.limits)
    return f"its answer is wrong: {'; '.join(wrong)}" if wrong else None
