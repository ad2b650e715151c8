"""The Python backend's model.py in a real tritonserver: several tensors, dynamic axes, and no batch axis."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.models import named_tensors
from helpers.models.named_tensors import assert_same
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.utils import np_to_triton_dtype

from slipway.core.errors import SlipwayError
from slipway.runtimes import RUNTIMES, runtime, runtime_code
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.repository.model_config import write_config
from slipway.triton.repository.model_folder import ADAPTER
from slipway.triton.server.tritonserver import PYTHON_CONFIGURATION, Ports, Server, find_installation

pytestmark = pytest.mark.slow

MAX_BATCH = 4
# Appended to model.py: it writes down the sizes that the engine is run with.
WATCHING = """

_infer = Engine.infer


def _watched(self, inputs):
    with open(Path(__file__).with_name("sizes.jsonl"), "a", encoding="utf-8") as file:
        print(json.dumps({name: array.shape for name, array in inputs.items()}), file=file)
    return _infer(self, inputs)


Engine.infer = _watched
"""


def write_model(folder, name, interface, max_batch):
    """Write a model of text.onnx in a runtime, served by the Python backend."""
    version = folder / "1"
    (version / "engine").mkdir(parents=True)
    runtime(name).build(folder.parent.parent / f"{folder.name}.onnx", version / RUNTIMES[name].engine_file, "fp32", {})
    for file in runtime_code(name):
        shutil.copyfile(file, version / "engine" / file.name)
    (version / "model.py").write_text(ADAPTER.read_text(encoding="utf-8") + WATCHING, encoding="utf-8")
    config = pb.ModelConfig(name=folder.name, backend="python", max_batch_size=max_batch)
    for side, tensors in (("inputs", config.input), ("outputs", config.output)):
        for tensor in interface[side]:
            dims = [-1 if isinstance(size, str) else size for size in tensor["shape"][1 if max_batch else 0 :]]
            dtype = f"TYPE_{np_to_triton_dtype(np.dtype(tensor['dtype']))}"
            tensors.add(name=tensor["name"], data_type=pb.DataType.Value(dtype), dims=dims)
    if max_batch:
        config.dynamic_batching.SetInParent()
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    parameters = {"engine": RUNTIMES[name].engine_file, "precision": "fp32", "contract": json.dumps(interface)}
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    write_config(folder / "configs" / f"{PYTHON_CONFIGURATION}.pbtxt", config)
    write_config(folder / "config.pbtxt", config)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Yield the ports of a server with a model of batches and one of single requests, and what both answer."""
    folder = tmp_path_factory.mktemp("tensors")
    answers = {}
    for name, engine, batch in (("batches", "onnxruntime", ("batch",)), ("single", "openvino", ())):
        answers[name] = named_tensors.write_text(folder / f"{name}.onnx", batch)
        interface = named_tensors.text_interface(batch)
        write_model(folder / "repository" / name, engine, interface, MAX_BATCH if batch else 0)
    installation = find_installation(folder / "w", {"a backend that no server has"}, None)
    with Server(installation, [folder / "repository"], Ports.free(), folder / "server.log") as server:
        server.wait_until_ready(60)
        yield server, answers, folder / "repository"


def test_gathered_requests_of_several_lengths_get_each_their_own_answers(served):
    server, answers, _ = served
    requests = [named_tensors.texts(1 + seed % MAX_BATCH, 3 + seed % 2, seed=seed) for seed in range(80)]
    with ModelClient(server.ports, "batches") as client, ThreadPoolExecutor(16) as pool:
        outputs = list(pool.map(lambda inputs: client.infer(inputs).outputs, requests))
    for inputs, found in zip(requests, outputs, strict=True):
        assert_same(found, answers["batches"](inputs))


def test_a_model_without_a_batch_axis_answers_requests_of_any_length(served):
    server, answers, _ = served
    requests = [named_tensors.texts(1 + seed % 9, seed=seed) for seed in range(20)]
    with ModelClient(server.ports, "single") as client, ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda inputs: client.infer(inputs).outputs, requests))
    for inputs, found in zip(requests, outputs, strict=True):
        assert_same(found, answers["single"](inputs))


def test_it_is_warmed_up_at_the_optimum_of_the_contract(served):
    _, _, repository = served
    length = named_tensors.SEQUENCE["opt"]
    for name, sizes in (("batches", [MAX_BATCH, length]), ("single", [length])):
        first, *_ = (repository / name / "1" / "sizes.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(first) == {"ids": sizes, "mask": sizes}


def test_an_input_that_the_engine_refuses_is_told_with_its_sizes(served):
    server, answers, _ = served
    with ModelClient(server.ports, "batches") as client:
        wrong = named_tensors.texts(2, 5)
        wrong["mask"] = wrong["mask"][:, :4]
        with pytest.raises(SlipwayError, match=r"the engine failed on ids \(2, 5\), mask \(2, 4\)"):
            client.infer(wrong)
        right = named_tensors.texts(2, 5)
        assert_same(client.infer(right).outputs, answers["batches"](right))


def test_a_request_that_the_engine_refuses_fails_alone(served):
    server, answers, _ = served
    requests = [named_tensors.texts(1, 5, seed=seed) for seed in range(60)]
    for inputs in requests[::5]:
        inputs["ids"][0, 2] = named_tensors.WORDS  # there is no such word

    def asked(inputs):
        try:
            return client.infer(inputs).outputs
        except SlipwayError as error:
            return str(error)

    with ModelClient(server.ports, "batches") as client, ThreadPoolExecutor(16) as pool:
        outputs = list(pool.map(asked, requests))
    for index, (inputs, found) in enumerate(zip(requests, outputs, strict=True)):
        if index % 5:
            assert_same(found, answers["batches"](inputs))
        else:
            assert "the engine failed on ids (1, 5), mask (1, 5)" in found
