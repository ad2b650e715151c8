"""The Python backend's model.py in a real tritonserver: several tensors, dynamic axes, and no batch axis."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.models import named_tensors
from helpers.models.large_networks import with_data_file
from helpers.models.named_tensors import assert_same
from helpers.patience import PATIENCE_S
from onnx import helper

from slipway.contract.contract import Contract
from slipway.core.artifacts import sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.engines.recorded_engine import RecordedEngine
from slipway.runtimes import RUNTIMES, engine_files, runtime
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server

pytestmark = pytest.mark.slow

MAX_BATCH = 4
# The runtimes of models that are built from an ONNX file with its weights in a data file.
LARGE = ("onnxruntime", "openvino")
# Appended to model.py: it writes down the sizes that the engine is run with.
WATCHING = """

_infer = Engine.infer


def _watched(self, inputs):
    with open(Path(__file__).with_name("sizes.jsonl"), "a", encoding="utf-8") as file:
        print(json.dumps({name: array.shape for name, array in inputs.items()}), file=file)
    return _infer(self, inputs)


Engine.infer = _watched
"""


def write(folder, name, runtime_name, interface):
    """Write the model of <name>.onnx in a runtime, with a model.py that watches."""
    path = folder / f"{name}{RUNTIMES[runtime_name].suffixes[0]}"
    runtime(runtime_name).build(folder / f"{name}.onnx", path, "fp32", {})
    record = {
        "files": {file.name: sha256(file) for file in engine_files(runtime_name, path)},
        "key": {"runtime": runtime_name, "precision": "fp32"},
        "tensors": runtime(runtime_name).Engine(path, "fp32").tensors(),
    }
    write_json(folder / f"{name}.json", record)
    engine = RecordedEngine.of_record(folder / f"{name}.json")
    served = served_model(name, engine, Contract.of(interface), MAX_BATCH, 1)
    write_model(folder / "repository" / name, served, engine)
    adapter = folder / "repository" / name / "1" / "model.py"
    adapter.write_text(adapter.read_text(encoding="utf-8") + WATCHING, encoding="utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Yield a server with a model of batches, one of single requests, one of a number a sample, and their answers."""
    folder = tmp_path_factory.mktemp("tensors")
    answers = {}
    for name, runtime_name, batch in (("batches", "onnxruntime", ("batch",)), ("single", "openvino", ())):
        answers[name] = named_tensors.write_text(folder / f"{name}.onnx", batch)
        write(folder, name, runtime_name, named_tensors.text_interface(batch))
    numbers = named_tensors.interface([("x", "float32", ("batch",))], [("y", "float32", ("batch",))], {})
    answers["numbers"] = named_tensors.write(
        folder / "numbers.onnx", [helper.make_node("Tanh", ["x"], ["y"])], {}, numbers
    )
    write(folder, "numbers", "openvino", numbers)
    for runtime_name in LARGE:
        answers[runtime_name] = named_tensors.write_text(folder / f"{runtime_name}.onnx")
        with_data_file(folder / f"{runtime_name}.onnx")
        write(folder, runtime_name, runtime_name, named_tensors.text_interface())
    installation = find_installation(folder / "w", ServerChoice("wheel"))
    with Server(installation, [folder / "repository"], Ports.free(), folder / "server.log") as server:
        server.wait_until_ready(PATIENCE_S)
        yield server, answers, folder / "repository"


def test_gathered_requests_of_several_lengths_get_each_their_own_answers(served):
    server, answers, _ = served
    requests = [named_tensors.texts(1 + seed % MAX_BATCH, 3 + seed % 2, seed=seed) for seed in range(80)]
    with ModelClient(server.ports, "batches") as client, ThreadPoolExecutor(16) as pool:
        outputs = list(pool.map(lambda inputs: client.infer(inputs).outputs, requests))
    for inputs, found in zip(requests, outputs, strict=True):
        assert_same(found, answers["batches"](inputs))


@pytest.mark.parametrize("name", LARGE)
def test_a_model_with_its_weights_in_a_second_file_is_served(served, name):
    server, answers, repository = served
    others = sorted(path.name for path in (repository / name / "1").glob("*.data"))
    assert others == (["onnxruntime.ort.onnx.data"] if name == "onnxruntime" else [])
    assert not list((repository / "batches" / "1").glob("*.data"))
    inputs = named_tensors.texts(2, 5)
    with ModelClient(server.ports, name) as client:
        assert_same(client.infer(inputs).outputs, answers[name](inputs))


def test_a_model_without_a_batch_axis_answers_requests_of_any_length(served):
    server, answers, _ = served
    requests = [named_tensors.texts(1 + seed % 9, seed=seed) for seed in range(20)]
    with ModelClient(server.ports, "single") as client, ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda inputs: client.infer(inputs).outputs, requests))
    for inputs, found in zip(requests, outputs, strict=True):
        assert_same(found, answers["single"](inputs))


def test_a_number_for_each_sample_has_another_axis_for_clients_alone(served):
    server, answers, _ = served
    numbers = np.float32([0.5, -1, 2])
    with ModelClient(server.ports, "numbers") as client:
        outputs = client.infer({"x": numbers[:, None]}).outputs
    np.testing.assert_allclose(outputs["y"][:, 0], answers["numbers"]({"x": numbers})["y"], rtol=1e-5)


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
