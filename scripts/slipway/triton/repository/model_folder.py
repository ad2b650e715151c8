"""A Triton model repository: a model folder for a native backend and for the Python backend.

<name>/config.pbtxt            the runtime's native backend, for NVIDIA's container
<name>/configs/python.pbtxt    the Python backend, for a server started with --model-config-name=python
<name>/labels.txt              the names of output values
<name>/1/                      the engine; model.py and the package engine/, which the Python backend runs
"""

import shutil
from pathlib import Path

from slipway.contract.contract import Contract
from slipway.engines.recorded_engine import RecordedEngine
from slipway.runtimes import runtime_code
from slipway.triton.repository.model_config import LABELS, Served, ServingOptions, model_config, write_config
from slipway.triton.server.installation import PYTHON_CONFIGURATION

VERSION = "1"
# Read as a file, never imported: it needs a module that exists only in the server's Python backend.
ADAPTER = Path(__file__).with_name("python_backend_model.py")


def served_model(
    name: str,
    engine: RecordedEngine,
    contract: Contract,
    max_batch: int,
    instances: int,
    queue_delay_us: int = 0,
    options: ServingOptions | None = None,
) -> Served:
    """Return the description from which the files of the Triton model `name` are written.

    `engine` is the engine to serve. `contract` describes the model's inputs and outputs; they get the dtypes in the
    engine's build record. `max_batch`, `instances` and `queue_delay_us` (microseconds) are the load test's choice. If
    `options` is None, all options of the backend are off.
    """
    profiles = tuple((sizes["min"], sizes["opt"], sizes["max"]) for sizes in engine.profiles)
    key = engine.record["key"]
    return Served(
        name,
        key["runtime"],
        key["precision"],
        contract.of_engine(engine.record["tensors"]),
        max_batch,
        instances,
        profiles,
        queue_delay_us,
        options or ServingOptions(),
    )


def write_model(folder: Path, served: Served, engine: RecordedEngine, labels: Path | None = None) -> None:
    """Write the model folder `folder`, which must not exist yet: configurations, the engine, its adapter, labels.txt.

    `labels` is a file with the names of output values, one per line; None if they have no names.
    """
    version = folder / VERSION
    version.mkdir(parents=True)
    write_config(folder / "config.pbtxt", model_config(served, served.traits.backend))
    write_config(folder / "configs" / f"{PYTHON_CONFIGURATION}.pbtxt", model_config(served, "python"))
    write_labels(folder / LABELS, labels, served)
    first, *others = engine.files
    engine_file = version / served.traits.engine_file
    shutil.copyfile(first, engine_file)
    for file in others:
        if file.stat().st_size:  # an empty data file means that the weights are in the first file
            own_name = file.name if served.traits.names_other_files else engine_file.with_suffix(file.suffix).name
            shutil.copyfile(file, version / own_name)
    shutil.copyfile(ADAPTER, version / "model.py")
    (version / "engine").mkdir()
    for file in runtime_code(served.runtime):  # copied, never imported
        shutil.copyfile(file, version / "engine" / file.name)


def write_labels(path: Path, labels: Path | None, served: Served) -> None:
    """Write labels.txt to `path`: the names of the values of the first output that has names, one per line.

    `labels` is a file with these names. If it is None, or if no output has names, an empty file is written. If the
    output has one value and two names (no and yes), only the last name is written.
    """
    if labels is None or served.labelled is None:
        path.touch()
        return
    names = labels.read_bytes().splitlines(keepends=True)
    path.write_bytes(names[-1] if served.labelled.shape[-1] == 1 and names else b"".join(names))
