"""ONNX files of other exporters above the limit of one file, which is lowered here, up to the served graph."""

import numpy as np
import onnx
import pytest
from helpers.models.large_networks import lowered_limit
from helpers.onnx_graphs import classifier, model, noise, saved, tensor, weights
from onnx import helper

from export_onnx import compare_with_pytorch, exported, require_valid
from slipway.benchmark.batch_independence import apart
from slipway.contract.discovery import find_contract
from slipway.contract.network import ServedNetwork
from slipway.core.artifacts import data_file
from slipway.core.errors import SlipwayError
from slipway.models.programs.onnx_file import load, take
from slipway.onnx.foreign_file import read_onnx
from slipway.onnx.onnx_files import opset_of, session_of

SAMPLES = [{"x": noise(1, 2, 4, seed=seed)} for seed in range(4)]
WIDE = 600


def wide(opset=17, ir=8):
    """Return a model (1, 2, 4) -> (1, 3) of a fixed batch with a Gemm of 19 kB, and a small one."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["kept"]),
        helper.make_node("Gemm", ["kept", "v", "c"], ["scores"]),
    ]
    stored = weights(w=noise(8, WIDE), b=noise(WIDE, seed=1), v=noise(WIDE, 3, seed=2), c=noise(3, seed=3))
    stored += weights(shape=np.array([1, 8]))
    return model(nodes, [tensor("x", [1, 2, 4])], [tensor("scores", [1, 3])], stored, opset, ir)


def apart_on_disk(folder, made, length=True):
    """Write a model with all weights in two files; return its path. `length` says whether tensors state their bytes."""
    path = saved(made, folder / "model.onnx")
    for number, stored in enumerate(made.graph.initializer):
        name, values = f"part{number % 2}.bin", stored.raw_data
        with (folder / name).open("ab") as file:
            offset = file.tell()
            file.write(values)
        del stored.external_data[:]
        stored.data_location = onnx.TensorProto.EXTERNAL
        facts = {"location": name, "offset": offset, **({"length": len(values)} if length else {})}
        for key, value in facts.items():
            stored.external_data.add(key=key, value=str(value))
        stored.ClearField("raw_data")
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture(autouse=True)
def limit():
    with lowered_limit(5_000):
        yield


@pytest.mark.parametrize(("opset", "length"), [(11, True), (17, False)])
def test_weights_in_other_files_go_to_one_data_file_and_to_the_served_graph(tmp_path, opset, length):
    expected = [session_of(wide(opset)).run(None, sample)[0] for sample in SAMPLES]
    (tmp_path / "given").mkdir()
    notes = take(apart_on_disk(tmp_path / "given", wide(opset), length), tmp_path / "program", SAMPLES)
    assert any("batch of 1 was made dynamic" in note for note in notes)
    assert data_file(tmp_path / "program").stat().st_size > WIDE * 4 * 11
    for file in (tmp_path / "given").iterdir():
        file.unlink()
    network = load(tmp_path / "program")
    answer = session_of(network.model, tmp_path).run(None, {"x": np.concatenate([each["x"] for each in SAMPLES])})[0]
    assert apart(np.concatenate(expected), answer) < 1e-6
    assert network.parameter_count == 8 * WIDE + WIDE + 3 * WIDE + 3
    assert network.last_operation("scores") == "addmm"
    contract, path = find_contract(network, SAMPLES, {}), tmp_path / "served.onnx"
    served = ServedNetwork(network, contract)
    frozen = exported(served, contract, SAMPLES, 20, path)
    require_valid(path, contract)
    assert compare_with_pytorch(served, contract, SAMPLES, path, frozen)
    assert opset_of(onnx.load(path, load_external_data=False)) in range(13, 21)
    assert data_file(path).stat().st_size > WIDE * 4 * 11
    assert path.stat().st_size < 5_000


def test_other_weights_of_the_same_graph_make_another_file(tmp_path):
    programs = []
    for seed in (2, 5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        made = wide()
        made.graph.initializer[2].CopyFrom(*weights(v=noise(WIDE, 3, seed=seed)))
        take(apart_on_disk(folder, made), folder / "program", SAMPLES)
        programs.append((folder / "program").read_bytes())
    assert programs[0] != programs[1]


@pytest.mark.parametrize("length", [True, False])
def test_a_data_file_that_is_too_short_is_told_by_its_name(tmp_path, length):
    path = apart_on_disk(tmp_path, wide(), length)
    content = (tmp_path / "part0.bin").read_bytes()
    (tmp_path / "part0.bin").write_bytes(content[:-1])
    with pytest.raises(
        SlipwayError, match=r"weights beside .*part0\.bin has .* bytes of .*copy all files of the model"
    ):
        read_onnx(path)


def test_weights_inside_of_one_file_above_the_limit_go_to_the_data_file_too(tmp_path):
    take(saved(wide(), tmp_path / "model.onnx"), tmp_path / "program", SAMPLES)
    assert data_file(tmp_path / "program").stat().st_size > WIDE * 4 * 11


def test_the_data_file_of_a_small_one_is_empty(tmp_path):
    with lowered_limit(1_000_000):
        take(apart_on_disk(tmp_path, classifier()), tmp_path / "program", SAMPLES)
    assert data_file(tmp_path / "program").read_bytes() == b""
    assert load(tmp_path / "program").parameter_count == 27
