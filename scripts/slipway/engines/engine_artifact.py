"""Load a built engine."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slipway.contract.contract import Tensors
from slipway.contract.served_form import cast_exactly
from slipway.engines.recorded_engine import RecordedEngine
from slipway.engines.subprocess_engine import SubprocessEngine
from slipway.runtimes import RUNTIMES, runtime


class BuiltEngine(RecordedEngine):
    """A recorded engine that can be loaded. A program that only builds or copies engines takes RecordedEngine."""

    def load(self, threads: int = 0, python: str | Path | None = None) -> Any:
        """Return the engine, ready to infer (see slipway.runtimes).

        A TensorRT engine runs in a process of `python`, the interpreter with TensorRT; None means this interpreter.
        """
        key = self.record["key"]
        if RUNTIMES[key["runtime"]].is_tensorrt:
            return SubprocessEngine(self.path, key["precision"], python)
        return runtime(key["runtime"]).Engine(self.path, key["precision"], threads)

    def cast(self, inputs: Tensors) -> Tensors:
        """Return inputs in the engine's own dtypes. SlipwayError names an input whose values that would change."""
        own = {tensor["name"]: tensor["dtype"] for tensor in self.record.get("tensors", {}).get("inputs", [])}
        return {name: cast_exactly(name, array, own.get(name, array.dtype)) for name, array in inputs.items()}

    def answering(self, engine: Any) -> Callable[[Tensors], Tensors]:
        """Return a loaded engine as a function of named inputs in the contract's dtypes."""
        return lambda inputs: engine.infer(self.cast(inputs))

    @contextlib.contextmanager
    def loaded(self, python: str | Path | None) -> Iterator[Any]:
        """Yield the engine as `load` returns it. At the end, close its process, if it has one."""
        engine = self.load(python=python)
        try:
            yield engine
        finally:
            if hasattr(engine, "close"):
                engine.close()
