"""The Python backend's model: answers requests with the engine that lies beside this file.

It travels into the model repository as model.py, with the runtime's module as engine.py, so it imports nothing of
Slipway. Inputs and outputs are those of the native backend's configuration.
"""

import json
import os
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from engine import Engine


class TritonPythonModel:
    """One instance of the model: one engine, fed with whole batches."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine and run it once at the smallest and the largest batch, before Triton calls it ready."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._input = config["input"][0]["name"]
        self._output = config["output"][0]["name"]
        path = Path(args["model_repository"]) / args["model_version"] / parameters["engine"]
        self._engine = Engine(path, parameters["precision"], threads=_threads_of_one_instance(config))
        for batch in {1, max(1, config["max_batch_size"])}:
            self._engine.infer(np.zeros((batch, *config["input"][0]["dims"]), np.float32))

    def execute(self, requests: list) -> list:
        """Return one response a request; the requests that the dynamic batcher gathered run as one batch."""
        batches = [pb_utils.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        try:
            logits = self._engine.infer(batches[0] if len(batches) == 1 else np.concatenate(batches))
        except Exception as error:
            failure = pb_utils.TritonError(f"the engine failed on a batch of {sum(map(len, batches))}: {error}")
            return [pb_utils.InferenceResponse(error=failure) for _ in requests]
        ends = np.cumsum([len(batch) for batch in batches])
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(self._output, logits[end - len(batch) : end])])
            for batch, end in zip(batches, ends, strict=True)
        ]


def _threads_of_one_instance(config: dict) -> int:
    instances = sum(group.get("count", 1) for group in config["instance_group"])
    return max(1, len(os.sched_getaffinity(0)) // instances)
