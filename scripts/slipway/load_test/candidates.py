"""The candidates of a load test: engines as models of their own, on the server that would serve them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from slipway.contract.contract import Tensors
from slipway.core.serving_environment import require_same_version
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.model_analyzer import input_data, write_input_data
from slipway.runtimes import RUNTIMES
from slipway.triton.repository.model_config import Served
from slipway.triton.repository.model_folder import write_model
from slipway.triton.server.installation import PYTHON_CONFIGURATION, Installation, find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tensorrt_versions import require_inside


def require_covered_batches(engines: dict[str, RecordedEngine], max_batch_sizes: list[int]) -> None:
    """Raise SlipwayError if the batcher could form a batch that no optimization profile of an engine accepts."""
    largest = max(max_batch_sizes)
    for engine in engines.values():
        engine.require_batches(range(1, largest + 1), f"`load_test.max_batch_sizes` goes up to {largest}")


def find_server(
    engines: dict[str, RecordedEngine], workspace: Path, python: Path | None, choice: ServerChoice | None = None
) -> Installation:
    """Return the server for the engines of one target. `python` is the interpreter of TensorRT engines.

    Raises SlipwayError if the runtime that would serve an engine is not the version that built it.
    """
    keys = {name: engine.record["key"] for name, engine in engines.items()}
    runtimes = {key["runtime"] for key in keys.values()}
    runs_tensorrt = any(RUNTIMES[name].is_tensorrt for name in runtimes)
    backends = {RUNTIMES[name].backend for name in runtimes}
    server = find_installation(workspace, backends, python if runs_tensorrt else None, choice)
    server = server.for_engines(keys.values())
    for name, key in keys.items():
        if server.container:
            require_inside(name, key, server.container.image, server.container.found.environment)
        elif not (server.native_backends or runs_tensorrt):
            require_same_version(name, RUNTIMES[key["runtime"]], key["runtime_version"])
    return server


def lay_out_candidate(
    workspace: Path, served: Served, engine: RecordedEngine, samples: Sequence[Tensors], server: Installation
) -> None:
    """Write one engine as a model below workspace/repository, its config.pbtxt for this server, and its samples."""
    folder = workspace / "repository" / served.name
    write_model(folder, served, engine)
    write_input_data(input_data(workspace, served.name), samples, served.contract)
    if not server.native_backends:
        shutil.copyfile(folder / "configs" / f"{PYTHON_CONFIGURATION}.pbtxt", folder / "config.pbtxt")
