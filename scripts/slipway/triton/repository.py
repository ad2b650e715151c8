"""A Triton model repository: one model folder that both kinds of server load.

<name>/config.pbtxt            the runtime's native backend, for NVIDIA's container
<name>/configs/python.pbtxt    the Python backend, for a server started with --model-config-name=python
<name>/labels.txt
<name>/1/                      the engine; model.py and engine.py, which the Python backend runs
"""

import shutil
from pathlib import Path

from slipway.engines import BuiltEngine
from slipway.runtimes import runtime
from slipway.triton.modelconfig import NATIVE, Served, model_config, write_config
from slipway.triton.server import PYTHON_CONFIGURATION

VERSION = "1"
# Read as a file, never imported: it needs a module that only the server's Python backend has.
ADAPTER = Path(__file__).with_name("adapter.py")


def served_model(name: str, engine: BuiltEngine, crop: int, classes: int, max_batch: int, instances: int) -> Served:
    """Return how `engine` is served under `name`."""
    key = engine.record["key"]
    return Served(name, key["runtime"], key["precision"], crop, classes, max_batch, instances)


def write_model(folder: Path, served: Served, engine: BuiltEngine, labels: Path) -> None:
    """Write the model folder at `folder`, which must not exist yet."""
    version = folder / VERSION
    version.mkdir(parents=True)
    native, _ = NATIVE[served.runtime]
    write_config(folder / "config.pbtxt", model_config(served, native))
    write_config(folder / "configs" / f"{PYTHON_CONFIGURATION}.pbtxt", model_config(served, "python"))
    shutil.copyfile(labels, folder / "labels.txt")
    target = version / served.engine_file
    module = runtime(served.runtime)
    for source, copy in zip(engine.files, module.engine_files(target), strict=True):
        shutil.copyfile(source, copy)
    shutil.copyfile(ADAPTER, version / "model.py")
    shutil.copyfile(module.__file__, version / "engine.py")
