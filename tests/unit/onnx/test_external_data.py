"""Networks above the limit of one ONNX file, which is lowered here, from their export to their engines."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.models.large_networks import lowered_limit, with_data_file
from helpers.models.random_images import photograph_batch
from helpers.models.tiny_engine import write_onnx
from helpers.models.tiny_network import OPTIONS, PREPROCESS, Residual, export, exported, photographs, record_of
from safetensors.torch import load_file

import cast_onnx
import quantize_onnx
from slipway.classification.images import sample_photograph
from slipway.core.artifacts import data_file, record_of_onnx, sha256
from slipway.core.errors import SlipwayError
from slipway.onnx import external_data
from slipway.runtimes import RUNTIMES, engine_files, runtime

OPSETS = [20, pytest.param(17, marks=pytest.mark.long)]  # of the newer exporter and of the TorchScript exporter
VARIANTS = {"bf16": (cast_onnx, []), "int8": (quantize_onnx, ["--min-samples", "8", "--input", "float32", *OPTIONS])}


@pytest.fixture(scope="module", params=OPSETS)
def large(tmp_path_factory, request):
    """Return the path of an exported network that exceeds the limit."""
    folder = tmp_path_factory.mktemp("large")
    with lowered_limit():
        export(folder, "float32", request.param, training=0)
    return folder / f"tiny.float32.{request.param}.onnx"


@pytest.fixture(scope="module", params=VARIANTS)
def variant(large, request):
    """Return the path of a large network in another precision."""
    program, options = VARIANTS[request.param]
    output = large.with_suffix(f".{request.param}.onnx")
    files = f"--onnx {large} --onnx-record {large}.json --output {output} --record {output}.json"
    files += f" --samples {large.parent}/float32.samples.npz --variant {request.param}"
    if program is quantize_onnx:
        folder = large.parent / "photographs"
        files += f" --samples-record {large.parent}/float32.samples.json"
        files += f" --images {folder if folder.exists() else photographs(folder)}"
    with lowered_limit():
        program.main(program.parse_arguments([*files.split(), *options]))
    return output


@pytest.fixture(scope="module")
def pictures():
    return photograph_batch([sample_photograph()], PREPROCESS, "float32")


@pytest.fixture(scope="module")
def logits(large, pictures):
    """Return PyTorch's own answer."""
    network = Residual().eval()
    network.load_state_dict(load_file(large.with_name("weights.safetensors")))
    with torch.inference_mode():
        return network(torch.from_numpy(pictures)).numpy()


def answer(path, pictures):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": pictures})[0]


def test_a_network_above_the_limit_answers_as_pytorch_with_its_weights_in_a_second_file(large, pictures, logits):
    np.testing.assert_allclose(answer(large, pictures), logits, rtol=1e-4, atol=1e-4)
    record, data = record_of(large), data_file(large)
    assert large.stat().st_size < 50_000 < data.stat().st_size
    assert record["data_sha256"] == sha256(data)
    assert record["bytes"] == record["fp32_bytes"] == large.stat().st_size + data.stat().st_size
    assert {path.name for path in large.parent.iterdir()} >= {large.name, data.name, f"{large.name}.json"}
    assert not list(large.parent.glob(".partial.*"))


def test_it_is_the_graph_of_the_network_in_one_file(large, tmp_path):
    """So an engine is refitted, whether its weights are in one file or two."""
    one, _ = exported(tmp_path, "float32", record_of(large)["opset"])
    alike = ("structure_sha256", "topology_sha256", "nodes", "opset", "ir_version")
    assert [record_of(one)[name] for name in alike] == [record_of(large)[name] for name in alike]
    assert record_of(one)["data_sha256"] is None
    assert data_file(one).read_bytes() == b""


@pytest.mark.parametrize("damage", ["changed", "foreign", "lost"])
def test_another_data_file_is_noticed(tmp_path, damage):
    write_onnx(tmp_path / "net.onnx", "float32")
    with_data_file(tmp_path / "net.onnx")
    data, record = tmp_path / "net.onnx.data", tmp_path / "net.onnx.json"
    record.write_text(f'{{"sha256": "{sha256(tmp_path / "net.onnx")}", "data_sha256": "{sha256(data)}"}}')
    assert record_of_onnx(tmp_path / "net.onnx", record)
    content = data.read_bytes()
    data.unlink() if damage == "lost" else data.write_bytes(content[::-1] if damage == "changed" else b"another")
    with pytest.raises(SlipwayError, match=r"net\.onnx\.data, which has the weights of net\.onnx, is not the file"):
        record_of_onnx(tmp_path / "net.onnx", record)


def test_the_same_graph_with_other_weights_is_another_onnx_file(tmp_path):
    """Else an engine would be kept that has the weights of before."""
    for seed in (1, 2):
        write_onnx(tmp_path / f"{seed}.onnx", "float32", seed)
        (tmp_path / f"{seed}.onnx").rename(tmp_path / "net.onnx")
        with_data_file(tmp_path / "net.onnx")
        (tmp_path / "net.onnx").rename(tmp_path / f"{seed}.onnx")
    assert sha256(tmp_path / "1.onnx") != sha256(tmp_path / "2.onnx")


def test_weights_return_into_a_file_that_holds_them(tmp_path):
    write_onnx(tmp_path / "net.onnx", "float32")
    before = onnx.load(tmp_path / "net.onnx")
    with_data_file(tmp_path / "net.onnx")
    model = external_data.read(tmp_path / "net.onnx")
    (tmp_path / "other").mkdir()
    external_data.write(model, tmp_path / "other" / "net.onnx", tmp_path)
    after = onnx.load(tmp_path / "other" / "net.onnx", load_external_data=False)
    arrays = [[onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer] for model in (before, after)]
    assert all(map(np.array_equal, *arrays))
    assert (tmp_path / "other" / "net.onnx.data").read_bytes() == b""


def test_its_variants_have_a_data_file_where_they_exceed_the_limit(variant):
    record, data = record_of(variant), data_file(variant)
    onnx.checker.check_model(str(variant), full_check=True)
    assert external_data.has_data(external_data.read(variant))
    assert record["data_sha256"] == sha256(data)
    if record["variant"] == "int8":  # ONNX Runtime's kernels have no BF16
        assert record["batch_independence"]
        assert record["agreement"]["relative_error"] < 0.1


@pytest.mark.parametrize("name", [name for name, traits in RUNTIMES.items() if not traits.needs_gpu])
def test_its_engines_answer_as_pytorch(large, name, tmp_path, pictures, logits):
    path = tmp_path / f"net{RUNTIMES[name].suffixes[0]}"
    runtime(name).build(large, path, "fp32", {})
    assert all(file.stat().st_size for file in engine_files(name, path))
    engine = runtime(name).Engine(path, "fp32")
    np.testing.assert_allclose(engine.infer({"input": pictures})["logits"], logits, rtol=1e-4, atol=1e-4)
    assert engine.layers()["fp32"] >= 5


def test_the_int8_engine_of_openvino_is_that_of_one_file(variant, tmp_path, pictures):
    if record_of(variant)["variant"] != "int8":
        pytest.skip("OpenVINO builds bf16 from the FP32 file")
    external_data.write(external_data.read(variant), tmp_path / "one.onnx", variant.parent)
    answers = []
    for path in (variant, tmp_path / "one.onnx"):
        runtime("openvino").build(path, tmp_path / "net.openvino.xml", "int8", {})
        engine = runtime("openvino").Engine(tmp_path / "net.openvino.xml", "int8")
        answers.append(engine.infer({"input": pictures})["logits"].copy())
        assert engine.layers()["int8"] >= 4
    np.testing.assert_array_equal(*answers)
