"""Run one TensorRT engine for a program in another interpreter: requests on standard input, answers on output.

It runs in the interpreter that has TensorRT, and needs nothing of Slipway's environment. A request is a line of JSON
with a "do". The request "infer" is followed by an array in NumPy's own format, and so is its answer. See
slipway.engines.subprocess_engine.
"""

import argparse
import json
import os
import sys
from typing import BinaryIO

import numpy as np

from slipway.engines.subprocess_engine import read_array, write_array
from slipway.runtimes.tensorrt.measuring import measure
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
    engine = None  # a local variable, so that it ends before its GPU is closed at the interpreter's end
    for line in requests:
        request = json.loads(line)
        try:
            images = read_array(requests) if request["do"] == "infer" else None
            engine = engine or Engine(arguments.engine, arguments.precision)
            answer, array = answered(engine, images, **request)
        except ValueError as error:
            answer, array = {"error": str(error)}, None
        answers.write(json.dumps(answer).encode() + b"\n")
        if array is not None:
            write_array(answers, array)
        answers.flush()


def answered(engine: Engine, images: np.ndarray | None, do: str, **effort: object) -> tuple[dict, np.ndarray | None]:
    """Return the answer to one request, and the array that follows it, or None."""
    if do == "infer":
        return {}, engine.infer(images)
    if do == "layers":
        return {"layers": engine.layers()}, None
    return measure(engine, **effort), None


def private_output() -> BinaryIO:
    """Return the standard output for answers only. Prints of libraries go to standard error from now on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(parse_arguments())
