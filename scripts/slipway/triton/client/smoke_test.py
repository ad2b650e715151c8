"""The smoke test: a served model answers the golden input with the checkpoint's golden logits."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from tritonclient.utils import np_to_triton_dtype

from slipway.benchmark.agreement import compare, violations
from slipway.benchmark.company import dependence, in_company, tolerance_of
from slipway.classification.showing import answer_of
from slipway.core.errors import SlipwayError
from slipway.onnx.tensor_names import INPUT, OUTPUT
from slipway.outputs.meaning import LOGITS, Meaning
from slipway.outputs.variation import variation, weakness
from slipway.triton.client.grpc_client import ModelClient

TIMED_REQUESTS = 10


@dataclass(frozen=True)
class Expected:
    """The expected model and answer: batch 1 input (1, 3, H, W), logits (1, classes), class names, error limits.

    The dtype of the input, float32 or uint8, is the dtype that the model must take. `meaning` describes the outputs.
    `varies` is the measured difference of PyTorch's answers to the photograph and its perturbations, or None.
    """

    name: str
    golden_input: np.ndarray
    golden_logits: np.ndarray
    labels: list[str]
    limits: dict[str, float]
    meaning: Meaning = LOGITS
    varies: float | None = None

    @classmethod
    def of(cls, name: str, golden: Path, labels: Path, limits: dict[str, float]) -> "Expected":
        """Return the expectation from a model's golden answers (.npz) and the class names of its repository.

        Raises SlipwayError if the golden answers cannot be read.
        """
        try:
            answers = np.load(golden)
            names = labels.read_text(encoding="utf-8").splitlines()
            both = [answers[key] for key in ("logits", "variation_logits") if key in answers.files]
            varies = variation(np.concatenate(both)) if len(both) == 2 else None
            meaning = Meaning.of_golden(answers)
            return cls(name, answers["input"], answers["logits"], names, limits, meaning, varies)
        except (ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
            raise SlipwayError(
                f"the golden answers of {name}, {golden}, are damaged ({error}): remove the golden.npz that they were "
                "taken from, and run again"
            ) from None


def smoke_test(client: ModelClient, expected: Expected) -> dict:
    """Check readiness, tensors, configuration, a refusal, the answer and counters; return the findings.

    Raises SlipwayError with the first difference from the expectation.
    """
    client.require_ready()
    metadata = client.metadata()
    require_tensors(metadata, expected)
    config = client.config()
    refusal = require_refusal(client, expected)
    before = client.successes_by_version()
    answers = [client.infer(expected.golden_input) for _ in range(TIMED_REQUESTS)]
    agreement = compare(expected.golden_logits, answers[0].logits, expected.meaning)
    problems = violations(agreement, expected.limits)
    if problems:
        raise SlipwayError(
            f"{expected.name} is served but does not give this checkpoint's answer: {'; '.join(problems)}"
        )
    version = answers[-1].version
    already = before.get(version, 0)
    counted = client.successes(version, at_least=already + TIMED_REQUESTS) - already
    if counted < TIMED_REQUESTS:
        raise SlipwayError(
            f"{expected.name} answered {TIMED_REQUESTS} requests, but the server's /metrics counts {counted}: "
            "something else answers on these ports"
        )
    company = require_own_answers(client, expected, config.max_batch_size)
    return {
        "server_version": metadata["server"],
        "backend": config.backend,
        "max_batch_size": config.max_batch_size,
        "instances": sum(group.count for group in config.instance_group),
        "agreement": agreement,
        "company": company,
        "output": expected.meaning.record(),
        **answer_of(answers[0].logits[0], expected.meaning, expected.labels),
        "weakness": weakness(expected.varies, expected.limits),
        "latency_ms": round(statistics.median(answer.latency_ms for answer in answers), 3),
        "requests_counted": counted,
        "refused": refusal,
    }


def require_own_answers(client: ModelClient, expected: Expected, max_batch_size: int) -> dict:
    """Return the difference between answers to the golden input alone and in batches with other requests.

    Raises SlipwayError if the answers depend on the other requests.
    """
    ask = lambda batch: client.infer(batch).logits  # noqa: E731
    company = in_company(ask, expected.golden_input, lambda size: size <= max_batch_size)
    if problem := dependence(company, tolerance_of(expected.limits)):
        raise SlipwayError(f"{expected.name} is served, but {problem}")
    return company


def require_refusal(client: ModelClient, expected: Expected) -> str:
    """Return the server's refusal of an input of a wrong shape; raise SlipwayError if it answers instead.

    The requests after it show whether the server still answers correctly.
    """
    wrong = expected.golden_input[..., :-1]
    try:
        client.infer(np.ascontiguousarray(wrong))
    except SlipwayError as error:
        # The rest of the message is general advice on shapes.
        return str(error).partition(" NOTE:")[0]
    raise SlipwayError(f"{expected.name} answers an input of the shape {wrong.shape}, which it must refuse")


def require_tensors(metadata: dict, expected: Expected) -> None:
    """Raise SlipwayError unless the server states the expected input and output."""
    wanted = {
        "inputs": described(INPUT, expected.golden_input, np_to_triton_dtype(expected.golden_input.dtype)),
        "outputs": described(OUTPUT, expected.golden_logits, "FP32"),
    }
    for side, tensor in wanted.items():
        served = [in_words(entry["name"], entry["datatype"], entry["shape"]) for entry in metadata[side]]
        if served != [tensor]:
            raise SlipwayError(
                f"{expected.name} has the {side} {', '.join(served) or 'of no name'}, but its golden request has "
                f"{tensor}"
            )


def described(name: str, example: np.ndarray, datatype: str) -> str:
    """Return a tensor like `example` (batch, ...) in words, with the dynamic batch that the server's metadata state."""
    return in_words(name, datatype, ["-1", *map(str, example.shape[1:])])


def in_words(name: str, datatype: str, shape: list[str]) -> str:
    """Return a tensor in words, such as "input UINT8 [-1, 3, 224, 224]"."""
    return f"{name} {datatype} [{', '.join(shape)}]"
