"""Run one TensorRT engine for a program in another interpreter: requests on standard input, answers on output.

It runs in the interpreter that has TensorRT, and needs nothing of Slipway's environment. A request is a line of JSON
with a "do". The request "infer" is followed by an array in NumPy's own format, and so is its answer. See
slipway.engines.subprocess_engine.
"""

import argparse
import json
import os
import sys
from typing import Any, BinaryIO

from slipway.engines.npy_stream import read_array, write_array
from slipway.runtimes.tensorrt.measuring import Measurement
from slipway.runtimes.tensorrt.runner import Engine


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--engine", required=True, help="engine to run (.trt, .plan or .rtx)")
    arguments.add_argument("--precision", required=True, help="precision of the engine")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Load the engine at the first request, and answer until the input ends."""
    requests, answers = sys.stdin.buffer, private_output()
    worker = Worker(arguments.engine, arguments.precision)
    for line in requests:
        request = json.loads(line)
        try:
            answer, array = worker.answer(request, requests)
        except ValueError as error:
            answer, array = {"error": str(error)}, None
        answers.write(json.dumps(answer).encode() + b"\n")
        if array is not None:
            write_array(answers, array)
        answers.flush()


class Worker:
    """One engine, and its answers to requests."""

    def __init__(self, engine: str, precision: str) -> None:
        self._path = engine
        self._precision = precision
        self._engine: Engine | None = None

    def answer(self, request: dict, arrays: BinaryIO) -> tuple[dict, Any]:
        """Return the answer to one request, and the array that follows it, or None."""
        if request["do"] == "infer":
            batch = read_array(arrays)
            return {}, self._loaded().infer(batch)
        if request["do"] == "layers":
            return {"layers": self._loaded().layers()}, None
        return self._measure(request), None

    def _measure(self, request: dict) -> dict:
        measurement = Measurement(
            self._loaded(), self._path, self._precision, request["batch"], request["seconds"], request["warmup_seconds"]
        )
        return measurement.run(request["min_samples"], request["streams"])

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._path, self._precision)
        return self._engine


def private_output() -> BinaryIO:
    """Return the standard output for answers only. Prints of libraries go to standard error from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(parse_arguments())
