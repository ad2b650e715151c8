"""Run a TensorRT engine in a process of the interpreter that has TensorRT."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np

from slipway.core.errors import SlipwayError

WORKER = Path(__file__).resolve().parents[2] / "tensorrt_worker.py"


class SubprocessEngine(contextlib.AbstractContextManager):
    """A TensorRT engine in a process of its own. The exit of the context manager ends this process."""

    def __init__(self, path: str | Path, python: str | Path | None = None) -> None:
        """Start a process for the engine file `path` in the interpreter `python`; None is this interpreter.

        The process loads the engine at the first request.
        """
        self._python = str(python or sys.executable)
        command = [self._python, str(WORKER), "--engine", str(path)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise SlipwayError(
                f"the interpreter {self._python} cannot be started ({error}); correct `tensorrt.python` in config.yaml"
            ) from None
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return {output: array} for {input: array}. Raise SlipwayError if the engine fails or its process ended."""
        answer = self._ask({"do": "infer"}, inputs)
        try:
            return read_arrays(self._answers, answer["arrays"])
        except ValueError:
            raise self._ended() from None

    def measure(self, batch: int, inputs: dict[str, np.ndarray] | None = None, **effort: object) -> dict:
        """Measure the engine at a batch size, on `inputs`, {input: array}, or on random inputs (None).

        `effort` are the arguments about durations and streams of slipway.runtimes.tensorrt.measuring.measure. That
        function also describes the keys of the returned dict.
        """
        return self._ask({"do": "measure", "batch": batch, **effort}, inputs)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # the process ended before it read everything
            self._requests.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict, inputs: dict[str, np.ndarray] | None = None) -> dict:
        with contextlib.suppress(BrokenPipeError):  # the process ended: the missing answer shows this
            write_message(self._requests, request, inputs)
        line = self._answers.readline()
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise SlipwayError(answer["error"])
        return answer

    def _ended(self) -> SlipwayError:
        return SlipwayError(
            f"the TensorRT worker under {self._python} ended with exit code {self._process.wait()}; the log has "
            "its messages"
        )


def write_message(pipe: IO[bytes], message: dict, arrays: dict[str, np.ndarray] | None) -> None:
    """Write a message as a line of JSON, and then the arrays in NumPy's own format.

    The entry "arrays" of the JSON has the names of the arrays, in the order in which the arrays follow.
    """
    arrays = arrays or {}
    pipe.write(json.dumps({**message, "arrays": list(arrays)}).encode() + b"\n")
    for array in arrays.values():
        # NumPy asks a real stream for its position, but a pipe has no position.
        contiguous = np.asarray(array, order="C")
        np.lib.format.write_array(SimpleNamespace(write=pipe.write), contiguous, allow_pickle=False)
    pipe.flush()


def read_arrays(pipe: IO[bytes], names: list[str]) -> dict[str, np.ndarray]:
    """Read the arrays that follow a message in a pipe: {name: array}, in the order of `names`.

    Raises ValueError if an array is missing.
    """
    return {name: np.lib.format.read_array(SimpleNamespace(read=pipe.read), allow_pickle=False) for name in names}
