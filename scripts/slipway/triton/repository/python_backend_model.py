"""The Python backend's model: answers requests with the engine that lies beside this file.

It travels into the model repository as model.py, with the runtime's module as engine.py or its package as engine/, so
it imports nothing of Slipway. Inputs and outputs are those of the native backend's configuration.
"""

# The backend imports it once the first request is computed, whose answer that would delay: 20 ms in every instance.
import asyncio  # noqa: F401
import json
import os
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from engine import Engine

WARM_UP_S = 2


class TritonPythonModel:
    """One instance of the model: one engine, fed with whole batches."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine and warm it up, before Triton calls it ready."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._input = config["input"][0]["name"]
        self._output = config["output"][0]["name"]
        path = Path(args["model_repository"]) / args["model_version"] / parameters["engine"]
        self._engine = Engine(path, parameters["precision"], threads=_threads_of_one_instance(config))
        self._warm_up(config)

    def _warm_up(self, config: dict) -> None:
        """Run the largest batch and batch 1, then the sizes between for as long as WARM_UP_S lasts.

        The first batch of a size costs more: kernels are chosen, or a CUDA graph is recorded.
        """
        tensor = config["input"][0]
        dtype = pb_utils.triton_string_to_numpy(tensor["data_type"])
        end = time.monotonic() + WARM_UP_S
        largest = max(1, config["max_batch_size"])
        for batch in [largest, *range(1, largest)]:
            if batch not in (1, largest) and time.monotonic() > end:
                break
            self._engine.infer(np.zeros((batch, *tensor["dims"]), dtype))

    def execute(self, requests: list) -> list:
        """Return one response a request; the requests that the dynamic batcher gathered run as one batch.

        Inputs are Triton's shared memory and outputs parts of the engine's result, neither copied here: the backend
        copies the outputs when this returns, before it calls again, so an engine may use one buffer for every batch.
        """
        batches = [pb_utils.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        try:
            logits = self._engine.infer_all(batches)
        except Exception as error:
            failure = pb_utils.TritonError(f"the engine failed on a batch of {sum(map(len, batches))}: {error}")
            return [pb_utils.InferenceResponse(error=failure) for _ in requests]
        responses, start = [], 0
        for batch in batches:
            end = start + len(batch)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor(self._output, logits[start:end])]))
            start = end
        return responses


def _threads_of_one_instance(config: dict) -> int:
    instances = sum(group.get("count", 1) for group in config["instance_group"])
    return max(1, len(os.sched_getaffinity(0)) // instances)
