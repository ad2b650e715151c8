"""The model.py for Triton's Python backend: it answers requests with the engine beside it.

The model repository gets it as model.py, and the runtime's package as engine/. So it imports nothing of Slipway. Inputs
and outputs are the same as in the native backend's configuration.
"""

# The backend would import it at the first request, and delay that answer by 20 ms in every instance.
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
    """One instance of the model: one engine, with whole batches as input."""

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
        """Run the largest batch and batch 1, then the sizes between until WARM_UP_S is over.

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
        """Return one response for each request; the requests that the dynamic batcher gathered run as one batch.

        Inputs are in Triton's shared memory, and outputs are views of the engine's result; neither is copied here. The
        backend copies the outputs after this returns and before the next call, so an engine may use one buffer for all
        batches.
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
