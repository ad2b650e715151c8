"""Run one TensorRT engine for a program in another interpreter: requests on standard input, answers on output.

This program runs in the interpreter that has TensorRT, and needs nothing of Slipway's environment. A request is a line
of JSON with a "do". The "arrays" that it names follow in NumPy's own format; an answer is the same. See
slipway.engines.subprocess_engine.
"""

import argparse
import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np

from slipway.contract.archives import by_number
from slipway.engines.subprocess_engine import read_arrays, write_message
from slipway.runtimes.tensorrt.measuring import measure
from slipway.runtimes.tensorrt.runner import Engine


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--engine", required=True, help="engine to run (.trt, .plan or .rtx)")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Load the engine at the first request, and answer until the input ends."""
    requests, answers = sys.stdin.buffer, private_output()
    engine = None  # a local variable, so that it ends before its GPU is closed at the interpreter's end
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
    """Carry out a request: "infer", "infer_all" or, for any other `do`, a measurement with the options `effort`.

    Return the answer, and the arrays to send after it; None without arrays.
    """
    if do == "infer":
        return {}, engine.infer(arrays)
    if do == "infer_all":
        return {}, engine.infer_all(by_number(arrays))
    return measure(engine, **effort, inputs=arrays or None), None


def private_output() -> BinaryIO:
    """Return the standard output for answers only. Prints of libraries go to standard error from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(parse_arguments())
