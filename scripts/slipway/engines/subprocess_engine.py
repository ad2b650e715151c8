"""Run a TensorRT engine in another interpreter: the one that has TensorRT."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np

from slipway.core.errors import SlipwayError

WORKER = Path(__file__).resolve().parents[2] / "tensorrt_worker.py"


class SubprocessEngine:
    """An engine in its own process. As a context manager, it ends the process."""

    def __init__(self, path: str | Path, precision: str, python: str | Path | None = None) -> None:
        """Start the worker with `python`, or with this interpreter. The first request loads the engine."""
        self._python = str(python or sys.executable)
        command = [self._python, str(WORKER), "--engine", str(path), "--precision", precision]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise SlipwayError(
                f"the interpreter {self._python} cannot be started ({error}); correct `tensorrt.python` in config.yaml"
            ) from None

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Return the float32 logits (N, classes) of a batch (N, 3, H, W) with the engine's input dtype."""
        self._ask({"do": "infer"}, batch)
        try:
            return read_array(self._process.stdout)
        except ValueError:
            raise self._ended() from None

    def infer_all(self, batches: list[np.ndarray]) -> np.ndarray:
        """Return the logits of several batches in order, run as one."""
        return self.infer(np.concatenate(batches))

    def layers(self) -> dict[str, int]:
        """Count the compute layers by the precision that the engine reports for each."""
        return self._ask({"do": "layers"})["layers"]

    def measure(self, batch: int, seconds: float, warmup_seconds: float, min_samples: int, streams: list[int]) -> dict:
        """Measure the engine on random input. For the result, see slipway.runtimes.tensorrt.measuring."""
        effort = {"batch": batch, "seconds": seconds, "warmup_seconds": warmup_seconds}
        return self._ask({"do": "measure", **effort, "min_samples": min_samples, "streams": streams})

    def close(self) -> None:
        """End the worker."""
        with contextlib.suppress(BrokenPipeError):  # it ended before it read everything
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "SubprocessEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict, array: np.ndarray | None = None) -> dict:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            if array is not None:
                write_array(self._process.stdin, array)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended; the missing answer shows it
        line = self._process.stdout.readline()
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


def write_array(pipe: BinaryIO, array: np.ndarray) -> None:
    """Write an array of any dtype except object in NumPy's own format. NumPy itself supports only files."""
    # NumPy would ask a real stream for its position, and a pipe has none.
    np.lib.format.write_array(SimpleNamespace(write=pipe.write), np.ascontiguousarray(array), allow_pickle=False)


def read_array(pipe: BinaryIO) -> np.ndarray:
    """Read exactly one array. Raise ValueError if the pipe ends within it."""
    return np.lib.format.read_array(SimpleNamespace(read=pipe.read), allow_pickle=False)
