"""Run a TensorRT engine for a program in another interpreter: requests on standard input, answers on standard output.

This program runs in the interpreter that has TensorRT, and needs nothing of Slipway's environment. A request is a line
of JSON. Its "do" is the task, and its "arrays" are the names of the arrays that follow in NumPy's own format. An answer
has the same form. See slipway.engines.subprocess_engine.
"""

import argparse
import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np

from slipway.engines.subprocess_engine import read_arrays, write_message
from slipway.runtimes.tensorrt.measuring import measure
from slipway.runtimes.tensorrt.runner import Engine


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--engine", required=True, help="engine to run (.trt, .plan or .rtx)")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Load the engine at the first request, and answer requests until standard input ends."""
    requests, answers = sys.stdin.buffer, private_output()
    engine = None  # a local variable, so that the engine is freed before the interpreter closes its GPU
    for line in requests:
        request = json.loads(line)
        arrays = read_arrays(requests, request.pop("arrays"))
        try:
            engine = engine or Engine(arguments.engine)
            answer, outputs = answered(engine, arrays, **request)
        except ValueError as error:
            answer, outputs = {"error": str(error)}, None
        write_message(answers, answer, outputs)


def answered(
    engine: Engine, arrays: dict[str, np.ndarray], do: str, **effort: Any
) -> tuple[dict, dict[str, np.ndarray] | None]:
    """Answer a request: `do` is "infer", or, with any other value, a measurement with the options `effort`.

    Returns (answer as JSON, arrays to send after it). For "infer", they are {} and {output: array}. For a measurement,
    they are the dict of `measure` and None; without `arrays`, it runs on random inputs.
    """
    if do == "infer":
        return {}, engine.infer(arrays)
    return measure(engine, **effort, inputs=arrays or None), None


def private_output() -> BinaryIO:
    """Return the standard output for answers only. Text that libraries print goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(parse_arguments())
