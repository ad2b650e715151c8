"""The smoke test: check that a served model answers the reference request with the reference outputs."""

import statistics
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tritonclient.utils import np_to_triton_dtype

from slipway.benchmark.agreement import compare, violations
from slipway.benchmark.batch_independence import batch_distances, dependence, tolerance_of
from slipway.contract.contract import Contract, Tensors
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.contract.served_form import as_served, as_stated, cast, served_dims
from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import TENSOR
from slipway.outputs.presentation import record_of
from slipway.outputs.variation import variations, weakness
from slipway.outputs.wording import words_of
from slipway.triton.client.grpc_client import ModelClient

TIMED_REQUESTS = 10


@dataclass(frozen=True)
class Expected:
    """The model that a server must have, and the answers that it must give.

    `name` is the model's name in Triton. `reference` has the reference samples with PyTorch's answers. `labels` are the
    names of an output's values. `limits` is {"min_cosine": ..., "max_relative_error": ..., ...}, the part of
    `accuracy.limits` in config.yaml for the engine's precision. `served` is the contract (the model's inputs and
    outputs) with the dtypes of the engine; None if the reference outputs have the same dtypes.
    """

    name: str
    reference: ReferenceOutputs
    labels: list[str]
    limits: dict[str, float]
    served: Contract | None = None

    @classmethod
    def of(cls, name: str, reference: Path, labels: Path, limits: dict[str, float], served: dict | None) -> "Expected":
        """Read the files of reference outputs and labels; return the expectation for the Triton model `name`.

        `labels` is a text file with one name a line. `limits` is as in `Expected`. `served` is the engine's contract
        (its inputs and outputs) in the form of contract.json; with None, the engine has the dtypes of the reference
        outputs. Raises SlipwayError if the file of reference outputs is damaged.
        """
        names = labels.read_text(encoding="utf-8", errors="replace").splitlines()
        return cls(name, ReferenceOutputs.read(reference), names, limits, Contract.of(served) if served else None)

    @property
    def contract(self) -> Contract:
        """Return the names, shapes and dtypes that the inputs and outputs of the served model must have."""
        return self.served or self.reference.contract

    @cached_property
    def request(self) -> Tensors:
        """Return the inputs of the reference request, with the shapes that the server accepts."""
        return as_served(self.reference.request.inputs, self.contract)

    def agreement(self, outputs: Tensors) -> dict:
        """Compare an answer to the reference request with PyTorch's answer.

        `outputs` is the answer, {output: array}. Returns the figures of `compare`: "relative_error", "min_cosine" and
        so on, each of the worst output, and "outputs" with {output: its figures}. Raises SlipwayError if an output is
        missing, or if its shape differs.
        """
        contract = self.reference.contract
        meant = tuple(replace(tensor, meaning=tensor.meaning or TENSOR) for tensor in contract.outputs)
        stated = as_stated(outputs, self.contract)
        return compare(self.reference.request.outputs, stated, replace(contract, outputs=meant))

    def why_wrong(self, outputs: Tensors) -> str | None:
        """Return in words why an answer to the reference request is wrong; None if it breaks no limit.

        `outputs` is the answer, {output: array}. An answer with missing outputs or other shapes is wrong, too.
        """
        try:
            wrong = violations(self.agreement(outputs), self.limits)
        except SlipwayError as error:
            return str(error)
        return f"its answer is wrong: {'; '.join(wrong)}" if wrong else None


def smoke_test(client: ModelClient, expected: Expected) -> dict:
    """Test a served model, and return the figures of the test. Raise SlipwayError at the first failed test.

    The model must be ready, have the expected inputs and outputs, refuse a wrong shape, and answer as PyTorch does. The
    server's counters must count these requests. The figures become the entry "smoke_test" of the receipt, the record
    that a deployment writes. They are facts of the server ("server_version", "backend", "max_batch_size", "instances"),
    "agreement" (see `Expected.agreement`), "batch_independence" (see `require_batch_independence`), "outputs" (the
    answer, as `record_of` returns it), "sample" (what was asked, in words), "weakness" of the reference samples, the
    median "latency_ms", "requests_counted", and "refused", the server's message about the wrong shape.
    """
    client.require_ready()
    metadata = client.metadata()
    require_tensors(metadata, expected)
    config = client.config()
    refusal = require_refusal(client, expected)
    before = client.successes_by_version()
    answers = [client.infer(expected.request) for _ in range(TIMED_REQUESTS)]
    agreement = expected.agreement(answers[0].outputs)
    if problems := violations(agreement, expected.limits):
        raise SlipwayError(
            f"{expected.name} is served, but its answer differs from the reference: {'; '.join(problems)}"
        )
    version = answers[-1].version
    already = before.get(version, 0)
    counted = client.successes(version, at_least=already + TIMED_REQUESTS) - already
    if counted < TIMED_REQUESTS:
        raise SlipwayError(
            f"{expected.name} answered {TIMED_REQUESTS} requests, but the server's /metrics counts {counted}: "
            "another server answers on these ports"
        )
    return {
        "server_version": metadata["server"],
        "backend": config.backend,
        "max_batch_size": config.max_batch_size,
        "instances": sum(group.count for group in config.instance_group),
        "agreement": agreement,
        "batch_independence": require_batch_independence(client, expected, config.max_batch_size),
        "sample": words_of(expected.reference.contract).first,
        "outputs": record_of(answers[0].outputs, expected.reference.contract, expected.labels),
        "weakness": weakness(
            variations(expected.reference.outputs), expected.limits, expected.reference.contract.baseline
        ),
        "latency_ms": round(statistics.median(answer.latency_ms for answer in answers), 3),
        "requests_counted": counted,
        "refused": refusal,
    }


def require_batch_independence(client: ModelClient, expected: Expected, max_batch_size: int) -> dict:
    """Raise SlipwayError if the answer to a sample depends on the other samples in its batch.

    For this, the answers to a reference sample alone and in batches are compared. Returns the result of
    `batch_distances`: "batches", the list of batch sizes, and the largest differences relative to the answer's norm,
    "by_size", "by_neighbours" and "by_padding" (None if nothing was padded).
    """
    contract = expected.contract
    samples = [cast(inputs, contract) for inputs in expected.reference.inputs]
    ask = lambda inputs: as_stated(client.infer(as_served(inputs, contract)).outputs, contract)  # noqa: E731
    distances = batch_distances(ask, contract, samples, lambda size: size <= max_batch_size)
    if problem := dependence(distances, tolerance_of(expected.limits)):
        raise SlipwayError(f"{expected.name} is served, but {problem}")
    return distances


def require_refusal(client: ModelClient, expected: Expected) -> str:
    """Check that the server refuses a request of a wrong shape. Return its error message.

    Raises SlipwayError if the server answers the request, since then it does not check requests by the model's
    config.pbtxt.
    """
    name, wrong = of_wrong_shape(expected.contract, expected.request)
    try:
        client.infer(expected.request | {name: wrong})
    except SlipwayError as error:
        # The rest of the message is general advice on shapes.
        return str(error).partition(" NOTE:")[0]
    raise SlipwayError(
        f"{expected.name} accepts {name} with the wrong shape {wrong.shape}: the server does not check requests by the "
        "config.pbtxt of this model, so another model may answer"
    )


def of_wrong_shape(contract: Contract, inputs: Tensors) -> tuple[str, np.ndarray]:
    """Return (name of an input, array of a wrong shape for this input), for a request that must be refused.

    `inputs` is a correct request, {input: array}. A fixed axis of the wrong array is one longer than in the contract.
    Without a fixed axis, the array has an axis too many.
    """
    for tensor in contract.inputs:
        if fixed := [axis for axis, size in enumerate(served_dims(tensor)) if size >= 0]:
            array = inputs[tensor.name]
            return tensor.name, np.concatenate([array, array.take([0], fixed[-1])], fixed[-1])
    first = contract.inputs[0].name
    return first, inputs[first][..., None]


def require_tensors(metadata: dict, expected: Expected) -> None:
    """Raise SlipwayError unless the served inputs and outputs have the expected names, dtypes and shapes, in order.

    `metadata` is the model's metadata, as `ModelClient.metadata` returns it.
    """
    for side in ("inputs", "outputs"):
        wanted = [
            f"{tensor.name} {np_to_triton_dtype(np.dtype(tensor.dtype))} {served_dims(tensor)}"
            for tensor in getattr(expected.contract, side)
        ]
        served = [f"{entry['name']} {entry['datatype']} {[*map(int, entry['shape'])]}" for entry in metadata[side]]
        if served != wanted:
            raise SlipwayError(
                f"{expected.name} has the {side} {', '.join(served) or 'of no name'}, but its reference request has "
                f"{', '.join(wanted)}"
            )
