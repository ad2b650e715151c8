"""The report of models without photographs, without a batch axis, or without PyTorch."""

import pytest
from helpers.artifacts import reported, runs
from helpers.report_page import Page, written

from slipway.core.artifacts import read_json, write_json
from slipway.history import file as history_file


@pytest.fixture(scope="module")
def page_of_tensors(tmp_path_factory):
    folder = reported.write_records_of_tensors(tmp_path_factory.mktemp("tensors"))
    no_classes = {"accuracy__top1": None, "targets__cpu__engines__fp32__accuracy__top1": None}
    for number in range(2):
        history_file.append(folder / history_file.NAME, runs.run(number, model=folder.name, **no_classes))
    return Page(written(folder).read_text())


def test_a_model_of_other_tensors_is_shown_by_output_with_its_metric(page_of_tensors):
    assert "text_network, 25,557,032 parameters,\n2 inputs, 2 outputs; checkpoint" in page_of_tensors.text
    assert ["input", "mask", "int64", "(batch, sequence)", "padded with 0"] in page_of_tensors.rows
    assert ["sequence", "1", "64", "128"] in page_of_tensors.rows
    assert "embedding: 2 values: 0.5, -1; found: 1 value: 3" in page_of_tensors.text
    figures = ["fp32", "the first sample", "embedding", "1.1e-03 (at most 0.01)", "0.999987 (at least 0.999)", "-"]
    assert figures in [row[:6] for row in page_of_tensors.rows]
    assert ["fp32", "9 samples", "found", "-", "-", "99.0% of values (at least 98%)"] in [
        row[:6] for row in page_of_tensors.rows
    ]
    assert ["fp32", "cosine", "0.998", "1", "min 0.99"] in page_of_tensors.rows
    assert "cosine 0.998 (PyTorch: cosine 1)" in page_of_tensors.text
    assert "times its inferences/s at the best batch" in page_of_tensors.text
    assert "one sample per request" in page_of_tensors.text


def test_the_page_of_a_model_of_other_tensors_speaks_of_no_photographs(page_of_tensors):
    words = ("photograph", "picture", "image", "class", "crop", "logits", "label", "predict", "top-1")
    shown = page_of_tensors.text.lower().replace("image/svg+xml", "")
    assert [shown[shown.index(word) - 40 : shown.index(word) + 40] for word in words if word in shown] == []


def test_the_page_of_a_model_without_a_batch_axis_speaks_of_no_batches(tmp_path):
    folder = reported.write_records_of_tensors(tmp_path)
    contract = read_json(folder / "contract.json")
    for tensor in contract["inputs"] + contract["outputs"]:
        tensor["shape"] = ["sequence"]
    write_json(folder / "contract.json", contract)
    for path in folder.glob("*/*.benchmark.json"):
        record = read_json(path)
        record["results"] = [result for result in record["results"] if result["batch"] == 1]
        write_json(path, record)
    for path in folder.glob("*/selection.json"):
        record = read_json(path)
        record["measured"]["max_batch_size"] = 0
        write_json(path, record)
    page = Page(written(folder).read_text(encoding="utf-8"))
    assert "0.25 of PyTorch's latency, 4.50 times its inferences/s; 0.50 of the FP32 ONNX" in page.text
    assert "80.2 ms per forward pass on cpu." in page.text
    assert ["-", "int8", "1.00 ms"] in [row[:3] for row in page.rows]
    assert "single requests" in page.text
    assert "batch size" not in page.text
    assert "at batch" not in page.text


def test_an_onnx_file_alone_is_beside_onnx_runtime_and_has_no_profile(tmp_path):
    folder = reported.write_records(tmp_path)
    (folder / "profile" / "profile.json").unlink()
    program = {"architecture": None, "origin": "program", "program": "onnx_file"}
    write_json(folder / "weights.json", read_json(folder / "weights.json") | program)
    write_json(folder / "contract.json", read_json(folder / "contract.json") | {"baseline": "ONNX Runtime"})
    for path in folder.glob("*/*.benchmark.json"):  # without PyTorch, whose figures are now ONNX Runtime's
        text = (
            path.read_text(encoding="utf-8").replace('"onnxruntime"', '"another"').replace('"pytorch"', '"onnxruntime"')
        )
        path.write_text(text.replace("over_pytorch", "over_onnxruntime"), encoding="utf-8")
        record = read_json(path)
        write_json(path, record | {"environment": record["environment"] | {"onnxruntime": "1.24.4"}})
    text = Page(written(folder).read_text(encoding="utf-8")).text
    assert "There is no profile: the model is an ONNX file alone" in text
    assert "ONNX Runtime's answer to" in text
    assert "of ONNX Runtime's latency" in text
    assert "Measured with ONNX Runtime 1.24.4" in text
    assert [word for word in text.split() if word.startswith("PyTorch")] == ["PyTorch's"]  # its profiler
