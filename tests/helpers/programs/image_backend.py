"""A backend of the stand-in's image: it serves engines by Slipway's adapter, under the name of a native backend.

Triton takes a folder `backends/<name>` with a model.py as a backend that is written in Python. So the wheel's server,
which has no other backends, loads the same config.pbtxt as the server of NVIDIA's image.
"""

import importlib.util
import json
import sys
from pathlib import Path


class TritonPythonModel:
    """Slipway's adapter, with the parameters that a native configuration does not have."""

    def initialize(self, args):
        """Load the adapter from the model's own folder, as the wheel's server does, and let it load the engine."""
        config = json.loads(args["model_config"])
        parameters = config["parameters"]
        precision = "bf16" if "HINT_BF16" in parameters else "fp32"
        stated = {"engine": config["default_model_filename"], "precision": precision}
        config["parameters"] = parameters | {name: {"string_value": value} for name, value in stated.items()}
        folder = Path(args["model_repository"]) / args["model_version"]
        sys.path.insert(0, str(folder))
        spec = importlib.util.spec_from_file_location("adapter", folder / "model.py")
        adapter = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(adapter)
        self._model = adapter.TritonPythonModel()
        self._model.initialize(args | {"model_config": json.dumps(config)})

    def execute(self, requests):
        """Answer requests by the adapter."""
        return self._model.execute(requests)
