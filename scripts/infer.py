"""Send the inputs in a .npz file to a model on a Triton server, and write the outputs to another .npz file."""

import argparse
import statistics
import time
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.core.cli import parser, progress, run
from slipway.core.errors import amended
from slipway.deploy.client_options import add_sending, add_server, batch_size, require_sensible, served_model
from slipway.triton.client.connection import Connection
from slipway.triton.client.npz_files import ONLY, read_requests, require_writable, write_answers
from slipway.triton.client.remote_model import RemoteModel, ask, ask_model, find_model
from slipway.triton.client.sample_batches import answers_to


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__, output=".npz to write: an array for each output")
    arguments.add_argument(
        "inputs", type=Path, help='.npz with an array for each input; of samples of several sizes, "<number>/<input>"'
    )
    add_server(arguments)
    add_sending(arguments)
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Send every request in the .npz file to the model, and write all answers after the last request."""
    require_sensible(arguments)
    requests = read_requests(arguments.inputs)
    require_writable(arguments.output, arguments.inputs)
    served, latencies_ms = served_model(arguments), []
    with Connection(served.endpoint, arguments.deadline_ms / 1e3, arguments.retries) as connection:
        name = find_model(connection, served.name, arguments.model_version)
        model = ask_model(connection, name, arguments.model_version)

        def timed(inputs: Tensors) -> Tensors:
            start = time.perf_counter()
            outputs = ask(connection, model, inputs)
            latencies_ms.append((time.perf_counter() - start) * 1e3)
            return outputs

        cast = [cast_request(model, number, inputs) for number, inputs in requests.items()]
        largest = model.max_batch and batch_size(model.name, model.max_batch, arguments.batch)
        answers = answers_to(cast, model.contract, largest, timed)
    write_answers(arguments.output, dict(zip(requests, answers, strict=True)))
    if served.rehearsal:
        progress("  REHEARSAL: random weights, so these answers mean nothing")
    mean_ms = statistics.mean(latencies_ms)
    progress(f"  {model.name} answered {len(latencies_ms)} request(s), each in {mean_ms:.1f} ms on average")
    arrays = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in answers[0].items())
    count = sum(len(next(iter(answer.values()))) if model.contract.batched else 1 for answer in answers)
    whose = " of the first request" if len(answers) > 1 else ""
    progress(f"  {arguments.output} has {count} answer(s); arrays{whose}: {arrays}")


def cast_request(model: RemoteModel, number: str, inputs: Tensors) -> Tensors:
    """Cast a request, {input: array}, to the model's dtypes.

    Raises SlipwayError, with the `number` of the request, if the request does not fit the model's inputs.
    """
    with amended("" if number == ONLY else f"sample {number}: "):
        return model.cast(inputs)


if __name__ == "__main__":
    run(main, parse_arguments())
