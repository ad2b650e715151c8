"""Run a TensorRT engine in the interpreter that has TensorRT, as another process."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np

from slipway.contract.archives import numbered
from slipway.core.errors import SlipwayError

WORKER = Path(__file__).resolve().parents[2] / "tensorrt_worker.py"


class SubprocessEngine(contextlib.AbstractContextManager):
    """An engine in its own process. As a context manager, it ends the process."""

    def __init__(self, path: str | Path, python: str | Path | None = None) -> None:
        """Start the worker with `python`, or with this interpreter. The first request loads the engine."""
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
        """Return {output: array} for {input: array}."""
        return self._outputs("infer", inputs)

    def infer_all(self, requests: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Run several requests as one batch; return {output: array}, joined along axis 0 in the same order."""
        return self._outputs("infer_all", numbered(requests))

    def measure(self, batch: int, inputs: dict[str, np.ndarray] | None = None, **effort: object) -> dict:
        """Measure the engine on a batch of inputs (None: random ones). See slipway.runtimes.tensorrt.measuring."""
        return self._ask({"do": "measure", "batch": batch, **effort}, inputs)

    def close(self) -> None:
        """End the worker."""
        with contextlib.suppress(BrokenPipeError):  # it ended before it read everything
            self._requests.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _outputs(self, do: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = self._ask({"do": do}, arrays)
        try:
            return read_arrays(self._answers, answer["arrays"])
        except ValueError:
            raise self._ended() from None

    def _ask(self, request: dict, inputs: dict[str, np.ndarray] | None = None) -> dict:
        with contextlib.suppress(BrokenPipeError):  # it ended; the missing answer shows it
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
    """Write a line of JSON, in which "arrays" names the arrays that follow it in NumPy's own format."""
    arrays = arrays or {}
    pipe.write(json.dumps({**message, "arrays": list(arrays)}).encode() + b"\n")
    for array in arrays.values():
        # NumPy would ask a real stream for its position, and a pipe has none.
        contiguous = np.asarray(array, order="C")
        np.lib.format.write_array(SimpleNamespace(write=pipe.write), contiguous, allow_pickle=False)
    pipe.flush()


def read_arrays(pipe: IO[bytes], names: list[str]) -> dict[str, np.ndarray]:
    """Read the named arrays, in this order; return {name: array}. Raise ValueError if the pipe ends before them."""
    return {name: np.lib.format.read_array(SimpleNamespace(read=pipe.read), allow_pickle=False) for name in names}
