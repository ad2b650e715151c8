"""The report says what the records say, and nothing else."""

import re
from html.parser import HTMLParser

import pytest
from helpers.artifacts import reported, runs

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.history import file as history_file
from slipway.report.measurements import read_measurements
from slipway.report.verdicts import how_busy_may_it_be, is_it_fast
from write_report import main, parse_arguments

VOID = {"meta", "img"}


class Page(HTMLParser):
    """The page as a reader sees it: text by element, rows of tables, and whether every element ends."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.text, self.classes, self.fetched = [], [], "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.fetched += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "tr":
            self.rows.append([])
            self.classes.append(attributes.get("class"))
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def written(folder, engines=tuple(reported.ENGINES)):
    output = folder / "report.html"
    options = ["--evaluated", "--folder", str(folder), "--engines", *engines, "--variants", *reported.VARIANTS]
    main(parse_arguments([*options, "--output", str(output)]))
    return output


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


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ({"low": 0.2, "high": 0.3, "verdict": "disturbed"}, "0.25 (0.20 to 0.30, disturbed) of PyTorch's latency"),
        ({"low": 0.2, "high": 1.1, "verdict": "steady"}, "0.25 (0.20 to 1.10, no difference) of PyTorch's latency"),
    ],
)
def test_speed_that_was_disturbed_or_is_no_difference_is_left_open(tmp_path, span, told):
    measurements = read_measurements(
        reported.write_records(tmp_path), reported.ENGINES, reported.VARIANTS, evaluated=True
    )
    target = measurements.targets[0]
    assert is_it_fast(target, measurements)[0] == "yes"
    target.benchmark["tutorial"]["measured"][target.chosen.precision]["interval"] = span
    state, text = is_it_fast(target, measurements)
    assert state == "open"
    assert told in text


def test_a_load_test_that_was_disturbed_is_left_open(tmp_path):
    measurements = read_measurements(
        reported.write_records(tmp_path), reported.ENGINES, reported.VARIANTS, evaluated=True
    )
    target = measurements.targets[0]
    assert how_busy_may_it_be(target)[0] == "yes"
    target.selection["measured"]["verdict"] = "disturbed"
    state, text = how_busy_may_it_be(target)
    assert state == "open"
    assert "other work disturbed the load test" in text


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


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("l4/resnet50.int8.accuracy.json", "engine_key", "the accuracy is of another int8 engine"),
        ("l4/resnet50.benchmark.json", "engines", "the benchmark is of another fp16 engine"),
        ("l4/selection.json", "chosen_from", "the choice is from another load test"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(tmp_path, name, part, said):
    folder = reported.write_records(tmp_path)
    record = read_json(folder / name)
    record[part] = {**record[part], "runtime_version": "10", "fp16": {}, "load_test_sha256": "0"}
    write_json(folder / name, record)
    with pytest.raises(SlipwayError, match=said):
        read_measurements(folder, reported.ENGINES, reported.VARIANTS)


def test_an_absent_record_is_named_and_the_old_page_stays(tmp_path):
    folder = reported.write_records(tmp_path)
    output = written(folder)
    before = output.read_bytes()
    (folder / "l4" / "selection.json").unlink()
    with pytest.raises(SlipwayError, match=r"selection\.json does not exist; run the step that makes it"):
        written(folder)
    assert output.read_bytes() == before


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
