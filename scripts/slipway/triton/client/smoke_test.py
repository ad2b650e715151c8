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
    """The expected model and its answers.

    `name` is the model's name in Triton, `reference` has the reference samples with PyTorch's answers. `labels` are the
    names of an output's values. `limits` are those of `accuracy.limits`: {name: allowed error}.
    `served` is the contract with the dtypes of the engine; None if the reference outputs have the same dtypes.
    """

    name: str
    reference: ReferenceOutputs
    labels: list[str]
    limits: dict[str, float]
    served: Contract | None = None

    @classmethod
    def of(cls, name: str, reference: Path, labels: Path, limits: dict[str, float], served: dict | None) -> "Expected":
        """Read the files of reference outputs and labels; return the expectation for the Triton model `name`.

        `served` is the engine's contract as in contract.json. Raises SlipwayError if the file of reference outputs is
        damaged.
        """
        names = labels.read_text(encoding="utf-8", errors="replace").splitlines()
        return cls(name, ReferenceOutputs.read(reference), names, limits, Contract.of(served) if served else None)

    @property
    def contract(self) -> Contract:
        """Return the contract with the dtypes that the server must have."""
        return self.served or self.reference.contract

    @cached_property
    def request(self) -> Tensors:
        """Return the inputs of the reference request, with the shapes that the server accepts."""
        return as_served(self.reference.request.inputs, self.contract)

    def agreement(self, outputs: Tensors) -> dict:
        """Compare an answer to the reference request with PyTorch's answer.

        Returns {figure: worst of all outputs}, such as "relative_error" and "min_cosine"; "outputs" has {output: its
        figures}. Raises SlipwayError if the shapes differ.
        """
        contract = self.reference.contract
        meant = tuple(replace(tensor, meaning=tensor.meaning or TENSOR) for tensor in contract.outputs)
        stated = as_stated(outputs, self.contract)
        return compare(self.reference.request.outputs, stated, replace(contract, outputs=meant))

    def why_wrong(self, outputs: Tensors) -> str | None:
        """Return in words which limits an answer to the reference request breaks; None if it breaks no limit."""
        try:
            wrong = violations(self.agreement(outputs), self.limits)
        except SlipwayError as error:
            return str(error)
        return f"its answer is wrong: {'; '.join(wrong)}" if wrong else None


def smoke_test(client: ModelClient, expected: Expected) -> dict:
    """Test a served model; return the figures of the test, for the entry "smoke_test" of the deployment's receipt.

    The model must be ready, have the tensors of its contract, refuse a wrong shape, and answer as PyTorch does. The
    server's counters must count these requests. The result has, among others, "agreement" (see
    `Expected.agreement`), "outputs", "latency_ms" (median) and "requests_counted". Raises SlipwayError at the first
    failed test.
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
    """Compare the answers to a reference sample alone and in batches, relative to the answer's norm.

    Returns {"batches": batch sizes, "by_size", "by_neighbours", "by_padding": largest differences}. Raises SlipwayError
    if the answer to a sample depends on the other samples in its batch.
    """
    contract = expected.contract
    samples = [cast(inputs, contract) for inputs in expected.reference.inputs]
    ask = lambda inputs: as_stated(client.infer(as_served(inputs, contract)).outputs, contract)  # noqa: E731
    distances = batch_distances(ask, contract, samples, lambda size: size <= max_batch_size)
    if problem := dependence(distances, tolerance_of(expected.limits)):
        raise SlipwayError(f"{expected.name} is served, but {problem}")
    return distances


def require_refusal(client: ModelClient, expected: Expected) -> str:
    """Send a request of a wrong shape, and return the server's error message.

    Raises SlipwayError if the server answers the request. The smoke test sends correct requests afterwards, so it also
    finds a server that the wrong request broke.
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
    """Return (name of an input, array of a wrong shape for this input).

    A fixed axis of the array is one longer than in the contract. Without a fixed axis, the array has an axis too many.
    """
    for tensor in contract.inputs:
        if fixed := [axis for axis, size in enumerate(served_dims(tensor)) if size >= 0]:
            array = inputs[tensor.name]
            return tensor.name, np.concatenate([array, array.take([0], fixed[-1])], fixed[-1])
    first = contract.inputs[0].name
    return first, inputs[first][..., None]


def require_tensors(metadata: dict, expected: Expected) -> None:
    """Raise SlipwayError unless the server's `metadata` has the tensors of the contract, with the engine's dtypes."""
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
