"""The model.py for Triton's Python backend: it answers requests with the engine beside it.

In the model repository, this file is model.py, and the package of the runtime is engine/. So this file imports nothing
of Slipway. The inputs and outputs are the same as with the native backend.
"""

# Without this import, the backend imports asyncio at the first request, and delays its answer by 20 ms.
import asyncio  # noqa: F401
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from engine import Engine

WARM_UP_S = 2


class TritonPythonModel:
    """One instance of the model, with its own engine.

    If the model has a batch axis, the engine gets whole batches, otherwise one request at a time.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine and warm it up. After this, Triton reports that the model is ready.

        `args` is Triton's: "model_config" (JSON), "model_repository" and "model_version" are read.
        """
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._batched = config["max_batch_size"] > 0
        path = Path(args["model_repository"]) / args["model_version"] / parameters["engine"]
        instances = sum(group.get("count", 1) for group in config["instance_group"])
        threads = max(1, len(os.sched_getaffinity(0)) // instances)
        self._engine = Engine(path, parameters["precision"], threads=threads)
        if "contract" in parameters:  # only then the sizes are known
            self._warm_up(json.loads(parameters["contract"]), max(1, config["max_batch_size"]))

    def _warm_up(self, contract: dict, largest: int) -> None:
        """Run batches of zeros before clients send requests, because the first batch of each size is slower.

        In a first batch, kernels are chosen, or a CUDA graph is recorded. The order is the largest batch, batch 1, and
        then the sizes between them until WARM_UP_S seconds are over. `contract` has the "inputs" and the dynamic
        "axes", in the form of contract.json. These axes get their size "opt".
        """
        optimum = {name: axis["opt"] for name, axis in contract["axes"].items()}
        end = time.monotonic() + WARM_UP_S
        for batch in [largest, *range(1, largest)]:
            if batch not in (1, largest) and time.monotonic() > end:
                break
            sizes = optimum | {"batch": batch}
            self._engine.infer(
                {
                    tensor["name"]: np.zeros([sizes.get(size, size) for size in tensor["shape"]], tensor["dtype"])
                    for tensor in contract["inputs"]
                }
            )

    def execute(self, requests: list) -> list:
        """Return one response for each request. If the model has a batch axis, all `requests` run as one batch.

        Outputs are views of the engine's result. The backend copies them before the next call, so an engine may use one
        buffer for all batches.
        """
        batch = [{tensor.name(): tensor.as_numpy() for tensor in request.inputs()} for request in requests]
        return self._responses(self._engine.infer_all, batch) if self._batched else self._each_alone(batch)

    def _each_alone(self, batch: list) -> list:
        # `infer` returns copies: the next request's run may overwrite the engine's buffer.
        return [self._responses(lambda alone: self._engine.infer(*alone), [inputs])[0] for inputs in batch]

    def _responses(self, run: Callable[[list], dict], batch: list) -> list:
        """Return one response for each request in `batch`, a list of {input: array}.

        run(batch) returns {output: array}, with the rows of all requests. If the engine fails on several requests
        together, they run one by one, and only a request that fails alone gets an error response.
        """
        try:
            outputs = run(batch)
        except Exception as error:
            if len(batch) > 1:  # only the request that the engine refuses fails, not the requests gathered with it
                return self._each_alone(batch)
            sizes = ", ".join(f"{name} {array.shape}" for name, array in batch[0].items())
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"the engine failed on {sizes}: {error}"))]
        responses, start = [], 0
        for inputs in batch:
            end = start + len(inputs[self._inputs[0]]) if self._batched else 0
            tensors = [
                pb_utils.Tensor(name, outputs[name][start:end] if self._batched else outputs[name])
                for name in self._outputs
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
            start = end
        return responses
