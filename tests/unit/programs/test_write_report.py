"""The report says what the records say, and nothing else."""

import re

import pytest
from helpers.artifacts import reported
from helpers.report_page import Page, written

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from write_report import main, parse_arguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return reported.write_records(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(folder):
    return Page(written(folder).read_text(encoding="utf-8"))


def test_the_page_is_whole_and_stands_alone(page):
    assert page.open == []
    assert set(page.fetched) == {"../index.html"}


def test_what_was_chosen_is_answered_with_its_figures(page):
    assert "1,234.5 requests/s through Triton at p99 9.2 ms (at most 1000 ms)" in page.text
    assert "0.25 of PyTorch's latency at batch 1, 4.50 times its inferences/s" in page.text
    assert "top-1 84.8% on 250 labelled photographs, the model's own 85.2%" in page.text


def test_a_disturbed_figure_says_so_in_its_row(page):
    assert {row[-1] for row in page.rows if row[:2] == ["8", "fp16"]} == {"disturbed, 3 of 5 rounds"}
    assert {row[-1] for row in page.rows if row[:2] == ["1", "fp16"]} == {"steady"}


def test_accuracy_without_labels_is_left_open(page):
    assert "without labelled photographs nothing more is proven" in page.text


def test_the_class_of_each_folder_is_shown_with_what_told_it(page):
    assert ["tench", "0", "tench, Tinca tinca", "one of its names", "130"] in page.rows
    assert ["9", "9", "ostrich", "index", "120"] in page.rows


def test_pytorchs_own_accuracy_is_shown_beside_the_published_one_and_other_preprocessings(page):
    assert "top-1 accuracy is 85.2% (99 % interval\n79.0% to 90.0%)" in page.text
    assert "on 250 of 260 photographs; torchvision publishes 80.9%." in page.text
    assert ["mean and std 0.5", "200", "74.0%", "85.0%", "1"] in page.rows


def test_a_preprocessing_that_seems_wrong_leaves_open_whether_the_model_is_right(tmp_path, page):
    folder = reported.write_records(tmp_path)
    write_json(folder / "accuracy.json", reported.checkpoint_accuracy(["it is better with mean and std 0.5"]))
    text = Page(written(folder).read_text(encoding="utf-8")).text
    assert "Warning: it is better with mean and std 0.5." in text
    assert "the model's own 85.2%; but it is better with mean and std 0.5" in text
    assert "Warning" not in page.text


def test_a_model_without_labelled_photographs_has_no_such_part(tmp_path):
    folder = reported.write_records(tmp_path)
    (folder / "accuracy.json").unlink()
    options = ["--no-evaluated", "--folder", str(folder), "--engines", "cpu/fp32", "--variants", *reported.VARIANTS]
    main(parse_arguments([*options, "--output", str(folder / "report.html")]))
    assert "On labelled photographs" not in (folder / "report.html").read_text(encoding="utf-8")


def test_every_engine_has_its_row(page):
    assert ["fp16", "tensorrt 11.1.0.106", "53 fp16, 1 fp32", "51.0 MB", "0.50", "partly cached", "41.5 s"] in page.rows
    assert ["fp32", "the sample photograph", "logits", "1.1e-03 (at most 0.01)"] in [row[:4] for row in page.rows]


def test_the_configurations_under_load_are_marked(page):
    marked = {tuple(row[:5]): look for row, look in zip(page.rows, page.classes, strict=True)}
    assert marked["int8", "1", "8", "4", "1,234.5"] == "chosen"
    assert marked["fp16", "2", "8", "4", "2,500.0"] == "refused"
    verdicts = {row[4]: row[-1] for row in page.rows if row[1:4] in (["1", "8", "4"], ["2", "8", "4"])}
    assert verdicts == {"1,234.5": "steady", "2,500.0": "disturbed"}


@pytest.mark.parametrize("limit", [{"min_throughput_per_s": 1e4}, {"max_accuracy_loss": 0.01}])
def test_a_row_is_marked_whichever_limit_it_breaks(tmp_path, limit):
    folder = reported.write_records(tmp_path)
    path = folder / "l4" / "selection.json"
    selection = read_json(path)
    limits = selection["limits"] | {"p99_ms": 9e9} | limit
    losses = {"fp16": {"kind": "top1_drop", "loss": 0.02}, "int8": {"kind": "top1_drop", "loss": 0.0}}
    write_json(path, selection | {"limits": limits, "accuracy_loss": losses})
    shown = Page(written(folder).read_text(encoding="utf-8"))
    marked = {tuple(row[:5]): look for row, look in zip(shown.rows, shown.classes, strict=True)}
    assert marked["fp16", "2", "8", "4", "2,500.0"] == "refused"


def test_the_benchmark_shows_the_latency_in_a_cuda_graph_and_of_pytorch(page):
    figures = [row[:-1] for row in page.rows]
    assert ["8", "int8", "8.00 ms", "8.00 ms", "8.00 ms", "8.00 ms", "0.25", "1,000.0", "4.50"] in figures
    assert ["8", "pytorch", "32.00 ms", "32.00 ms", "32.00 ms", "32.00 ms", "-", "250.0", "-"] in figures
    assert "p50 latency in ms, on the GPU, in a CUDA graph if any" in page.text
    # Of a bar, while the pointer is over it.
    assert re.search(r"pytorch: 32\.00 ms( \([\d.]+ to [\d.]+\))?, disturbed", page.text)
    assert "onnxruntime was left out: it has no CUDA here" in page.text


def test_the_model_is_described(page):
    assert ["int8", "102.2 MB", "122", "20", "5.5e-07", "the FP32 file", "64 photographs, entropy"] in page.rows
    assert ["fp32", "102.2 MB", "122", "20", "7.5e-07", "PyTorch", "-"] in page.rows
    assert ["aten::op1", "1", "20.00 ms", "50.0%"] in page.rows
    assert reported.ADVICE in page.text
    assert ["checkpoint", "17a0" * 16] in page.rows
    assert "The weights are those of `model_ema`, as `weights_key: model_ema` asks; left out: <model>." in page.text


def test_the_inputs_and_outputs_are_shown(page):
    assert ["input", "input", "float32", "(batch, 3, 224, 224)", "-"] in page.rows
    meaning = "class scores, of which softmax makes probabilities (logits)"
    assert ["output", "logits", "float32", "(batch, 1000)", meaning] in page.rows
    assert "Sizes of the dynamic axes" not in page.text


def test_what_records_name_is_escaped(folder, page):
    assert "1.0% <b> (1)" in page.text
    assert "1.0% &lt;b&gt; (1)" in written(folder).read_text(encoding="utf-8")


def test_the_same_records_give_the_same_bytes(folder):
    assert written(folder).read_bytes() == written(folder).read_bytes()


def test_a_rehearsal_says_so(folder, page, tmp_path):
    rehearsed = reported.write_records(tmp_path, origin="rehearsal")
    text = Page(written(rehearsed).read_text(encoding="utf-8")).text
    assert "the answers\nmean nothing" in text
    assert "the answers\nmean nothing" not in page.text


def test_only_the_engines_that_are_asked_for_are_shown(tmp_path):
    folder = reported.write_records(tmp_path)
    text = Page(written(folder, ["cpu/fp32"]).read_text(encoding="utf-8")).text
    assert reported.CPU in text
    assert reported.GPU not in text


def test_an_absent_record_is_named_and_the_old_page_stays(tmp_path):
    folder = reported.write_records(tmp_path)
    output = written(folder)
    before = output.read_bytes()
    (folder / "l4" / "selection.json").unlink()
    with pytest.raises(SlipwayError, match=r"selection\.json does not exist; run the step that makes it"):
        written(folder)
    assert output.read_bytes() == before
