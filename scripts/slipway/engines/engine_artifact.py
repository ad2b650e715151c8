"""Load and run a built engine, in this process or, for TensorRT, in a process of the interpreter that has TensorRT."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from slipway.contract.contract import Tensors
from slipway.contract.served_form import cast_exactly
from slipway.engines.recorded_engine import RecordedEngine
from slipway.engines.subprocess_engine import SubprocessEngine
from slipway.runtimes import RUNTIMES, runtime


class BuiltEngine(RecordedEngine):
    """A recorded engine that can be loaded. Programs that only build or copy engines use RecordedEngine."""

    def load(self, python: str | Path | None = None) -> Any:
        """Return the loaded engine. Its `infer` maps {input: array} to {output: array}.

        A TensorRT engine runs in a new process of the interpreter `python`, which has TensorRT. With None, this is the
        present interpreter. The engine of another runtime runs in this process (see `slipway.runtimes`).
        """
        key = self.record["key"]
        if RUNTIMES[key["runtime"]].is_tensorrt:
            return SubprocessEngine(self.path, python)
        return runtime(key["runtime"]).Engine(self.path, key["precision"])

    def cast(self, inputs: Tensors) -> Tensors:
        """Cast a request, {input: array}, to the engine's dtypes. Raise SlipwayError if this would change a value.

        An input that the engine does not have stays unchanged: the engine refuses it by name.
        """
        own = {tensor["name"]: tensor["dtype"] for tensor in self.record["tensors"]["inputs"]}
        return {name: cast_exactly(name, array, own.get(name, array.dtype)) for name, array in inputs.items()}

    def answering(self, engine: Any) -> Callable[[Tensors], Tensors]:
        """Return a function that answers requests with `engine`, the engine that `load` returned.

        The function maps {input: array} to {output: array}. The inputs have the dtypes of the contract, and are cast to
        the engine's dtypes (see `cast`).
        """
        return lambda inputs: engine.infer(self.cast(inputs))

    def loaded(self, python: str | Path | None) -> AbstractContextManager[Any]:
        """Return a context manager that loads the engine. If the engine has a process, the process ends with the block.

        For `python`, and for the engine in the block, see `load`.
        """
        engine = self.load(python)
        return closing(engine) if hasattr(engine, "close") else nullcontext(engine)
